from pathlib import Path
import glob
from pydicom import dcmread
import numpy as np, matplotlib; matplotlib.use("Agg"); import matplotlib.pyplot as plt
from tests.peers.geometry import *
from tests.peers.studies import *
d="/tmp/bt/test_the_heart_lies_where_an_i0"
for f in glob.glob(d+"/back/*"):
    ds=dcmread(f); print(f, ds.Modality, list(ds.ImageType), ds.get("NumberOfFrames"), ds.Rows, ds.Columns, ds.SeriesDescription)
    if ds.Modality=="NM":
        r=ds
    else:
        plt.imsave("/tmp/page.png", ds.pixel_array, cmap="gray")
v=place(r); src=ge_stress(StudyUids.from_seed("q")); ref=back_project(src,v.positions_mm,(0.4,-7.6,23.0))
print("corr",correlation(v.values,ref), v.values.shape, v.values.max(), v.center_of_hottest(), v.positions_mm.reshape(-1,3).mean(0))
for ax in range(3): print(ax, correlation(np.flip(v.values,ax),ref), [correlation(np.roll(v.values,s,ax),ref) for s in (-1,1)])
m=np.unravel_index(v.values.argmax(),v.values.shape); print("max at",v.positions_mm[m])
z=v.values.sum((1,2)); print(np.round(z/z.max(),2))
k=m[0]
f,ax=plt.subplots(2,6,figsize=(18,6))
for i,dz in enumerate(range(-6,12,3)):
    kk=np.clip(k+dz,0,v.values.shape[0]-1)
    ax[0,i].imshow(v.values[kk],cmap="inferno",vmax=v.values.max()); ax[0,i].set_title(f"recon z={v.positions_mm[kk,0,0,2]:.0f}"); ax[1,i].imshow(ref[kk],cmap="inferno")
f.savefig("/tmp/ge.png")
