"""Views that are projected together: rotation, attenuation and blur of a block of views, forward and adjoint.

Two formulations of the same map. Without attenuation, rotation and the sum over depth (or over the depths' shares in
the blurs) collapse into one small sparse matrix. With attenuation, every sample of the detector's frame needs its own
factor, which is computed once and kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.physics.collimator import Nodes
from pipelines.physics.rotation import DetectorFrame, bilinear_entries
from pipelines.physics.sparse import SparsePair, SparseRows


@dataclass(frozen=True)
class Scratch:
    """Memory that successive back projections share, so that the system is not asked for it each time."""

    block: list[Tensor]

    def take(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return uninitialized memory of this shape; what was taken before is overwritten."""
        size = int(np.prod(shape))
        if not self.block or self.block[0].numel() < size or self.block[0].dtype != like.dtype:
            self.block[:] = [torch.empty(size, dtype=like.dtype, device=like.device)]
        return self.block[0][:size].view(shape)


class DetectorBlur:
    """The collimator's blurs, applied across columns and slices to the nodes' planes, and summed over the nodes."""

    def __init__(self, nodes: Nodes, columns: int, slices: int, pixel_mm: float, slice_mm: float, like: Tensor) -> None:
        across = nodes.toeplitz(columns, columns, pixel_mm)  # [node, output, input]
        along = nodes.toeplitz(slices, slices, slice_mm)
        self.count = across.shape[0]
        self._across = torch.from_numpy(np.concatenate(list(across), axis=1)).to(like).contiguous()  # [out, node * in]
        self._along = torch.from_numpy(along).to(like).contiguous()  # symmetric

    def forward(self, planes: Tensor, gates: int) -> Tensor:
        """Return counts `[view, column, gate * slice]` of planes `[view, node, column, gate * slice]`."""
        views, nodes, columns, width = planes.shape
        along = torch.matmul(planes.view(views, nodes, columns * gates, width // gates), self._along)
        return torch.matmul(self._across, along.view(views, nodes * columns, width))

    def adjoint(self, counts: Tensor, gates: int) -> Tensor:
        """Return planes `[view, node, column, gate * slice]` of counts `[view, column, gate * slice]`."""
        views, columns, width = counts.shape
        across = torch.matmul(self._across.T, counts)
        along = torch.matmul(across.view(views, self.count, columns * gates, width // gates), self._along)
        return along.view(views, self.count, columns, width)


class CollapsedGroup:
    """Views without attenuation: one sparse matrix from voxels to (view, node, column)."""

    def __init__(
        self,
        angles_deg: tuple[float, ...],
        frame: DetectorFrame,
        mask: Tensor,
        share: Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        sample, voxel, weight = bilinear_entries(angles_deg, frame, mask)
        per_view = frame.depths * frame.columns
        view, depth, column = sample // per_view, sample // frame.columns % frame.depths, sample % frame.columns
        nodes = 1 if share is None else share.shape[1]
        if share is not None:
            view, depth, column, voxel, weight, node = _share_out(view, depth, column, voxel, weight, share)
        else:
            node = torch.zeros_like(view)
        place = (((view * nodes + node) * frame.columns + column) * mask.numel()) + voxel
        unique, inverse = torch.unique(place, return_inverse=True)
        merged = torch.zeros(unique.numel(), dtype=weight.dtype, device=mask.device).index_add_(0, inverse, weight)
        self._shape = (len(angles_deg), nodes, frame.columns)
        rows = int(np.prod(self._shape))
        self._pair = SparsePair.from_entries(
            unique // mask.numel(), unique % mask.numel(), merged.to(dtype), (rows, mask.numel())
        )

    def forward(self, dense: Tensor, gates: int, blur: DetectorBlur | None) -> Tensor:
        """Return counts `[view, column, gate * slice]` of an activity `[voxel, gate * slice]`."""
        planes = self._pair.matrix.apply(dense).view(*self._shape, dense.shape[1])
        return planes[:, 0] if blur is None else blur.forward(planes, gates)

    def adjoint(self, counts: Tensor, gates: int, blur: DetectorBlur | None, scratch: Scratch) -> Tensor:
        """Return the activity `[voxel, gate * slice]` of counts `[view, column, gate * slice]`."""
        planes = counts if blur is None else blur.adjoint(counts, gates)
        return self._pair.transpose.apply(planes.reshape(-1, counts.shape[-1]))


class AttenuatedGroup:
    """Views with attenuation: the frame's samples, each with the share of photons that leave the patient from there."""

    def __init__(
        self,
        angles_deg: tuple[float, ...],
        frame: DetectorFrame,
        mask: Tensor,
        share: Tensor | None,
        mu_per_cm: Tensor,
        sensitivity: Tensor | None,
        views_at_once: int,
    ) -> None:
        sample, voxel, weight = bilinear_entries(angles_deg, frame, mask)
        views = len(angles_deg)
        rows = views * frame.depths * frame.columns
        self._pair = SparsePair.from_entries(sample, voxel, weight.to(mu_per_cm.dtype), (rows, mask.numel()))
        self._share = share
        self._frame = (frame.depths, frame.columns)
        self._blocks = [slice(first, min(first + views_at_once, views)) for first in range(0, views, views_at_once)]
        self._rows = [self._rows_of(block) for block in self._blocks]
        self._escape = self._escape_of(mu_per_cm, frame, views)
        if sensitivity is not None:
            self._escape *= sensitivity

    def forward(self, dense: Tensor, gates: int, blur: DetectorBlur | None) -> Tensor:
        """Return counts `[view, column, gate * slice]` of an activity `[voxel, gate * slice]`."""
        counts = []
        for block, rows in self._parts():
            planes = rows.apply(dense).view(-1, *self._frame, gates, dense.shape[1] // gates)
            planes.mul_(self._escape[block, :, :, None])
            if blur is None or self._share is None:
                counts.append(planes.sum(1).flatten(2))
            else:
                nodes = torch.bmm(self._share[block], planes.flatten(2))
                counts.append(blur.forward(nodes.view(nodes.shape[0], blur.count, self._frame[1], -1), gates))
        return torch.cat(counts)

    def adjoint(self, counts: Tensor, gates: int, blur: DetectorBlur | None, scratch: Scratch) -> Tensor:
        """Return the activity `[voxel, gate * slice]` of counts `[view, column, gate * slice]`."""
        views, columns, width = counts.shape
        all_planes = scratch.take((views, self._frame[0], columns * width), counts)
        for block in self._blocks:
            planes = all_planes[block]
            escape = self._escape[block, :, :, None]
            gated = (-1, *self._frame, gates, width // gates)
            if blur is None or self._share is None:
                torch.mul(counts[block].view(-1, 1, columns, gates, width // gates), escape, out=planes.view(gated))
            else:
                nodes = blur.adjoint(counts[block], gates).flatten(2)
                torch.bmm(self._share[block].mT, nodes, out=planes)
                planes.view(gated).mul_(escape)
        return self._pair.transpose.apply(all_planes.view(-1, width))

    def _parts(self) -> Iterator[tuple[slice, SparseRows]]:
        return zip(self._blocks, self._rows, strict=True)

    def _rows_of(self, block: slice) -> SparseRows:
        """Return the part of the sparse matrix that makes these views."""
        matrix = self._pair.matrix
        per_view = self._frame[0] * self._frame[1]
        offsets = matrix.offsets[block.start * per_view : block.stop * per_view + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return SparseRows(matrix.indices[first:last], offsets - first, matrix.values[first:last])

    def _escape_of(self, mu_per_cm: Tensor, frame: DetectorFrame, views: int) -> Tensor:
        """Return exp(-path) `[view, depth, column, slice]`: half of the own voxel and all from it to the detector."""
        escape = mu_per_cm.new_empty((views, *self._frame, mu_per_cm.shape[1]))
        # Planes ascend toward the detector: a photon crosses half of its own and all of the later ones.
        voxels = torch.ones(frame.depths, frame.depths, dtype=mu_per_cm.dtype, device=mu_per_cm.device).triu(1)
        to_detector = (voxels + torch.eye(frame.depths).to(voxels) / 2) * (-frame.pixel_mm / 10)
        for block, rows in self._parts():
            mu = rows.apply(mu_per_cm).view(-1, frame.depths, frame.columns * mu_per_cm.shape[1])
            torch.exp(torch.matmul(to_detector, mu), out=escape[block].view(mu.shape))
        return escape


def _share_out(
    view: Tensor, depth: Tensor, column: Tensor, voxel: Tensor, weight: Tensor, share: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the entries once per node that their depth is shared with, and the node."""
    parts = [(share[view, node, depth] * weight).double() for node in range(share.shape[1])]
    kept = [torch.nonzero(part).flatten() for part in parts]
    chosen = torch.cat(kept)
    node = torch.cat([torch.full_like(index, number) for number, index in enumerate(kept)])
    weights = torch.cat([part[index] for part, index in zip(parts, kept, strict=True)])
    return view[chosen], depth[chosen], column[chosen], voxel[chosen], weights, node
