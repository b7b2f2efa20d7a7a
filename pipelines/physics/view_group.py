"""Views that are projected together: rotation, attenuation and blur of a block of views, forward and adjoint.

Two formulations of the same map. Without attenuation, rotation and the sum over depth (or over the depths' shares in
the blurs) collapse into one small sparse matrix. With attenuation, every sample of the detector's frame needs its own
factor, which is computed once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pipelines.physics.collimator import Nodes
from pipelines.physics.rotation import DetectorFrame, bilinear_entries
from pipelines.physics.sparse import SparsePair, SparseRows

_BAND_COLUMNS = 32  # of a product across: fewer save work, more make faster products


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
    """The collimator's blurs, applied along slices and across columns to the nodes' planes, and summed over the nodes.

    Planes lie in memory as `[view, column, node, gate * slice]`: the sum over nodes is then part of the product across
    columns, and that product needs only the columns within reach of a kernel, which are neighbors in memory.
    """

    def __init__(self, nodes: Nodes, columns: int, slices: int, pixel_mm: float, slice_mm: float, like: Tensor) -> None:
        across = torch.from_numpy(nodes.toeplitz(columns, columns, pixel_mm)).to(like)  # [node, output, input]
        along = torch.from_numpy(nodes.toeplitz(slices, slices, slice_mm)).to(like)  # symmetric
        self.count = across.shape[0]
        self._along = along
        self._kernels = along.reshape(-1, slices, 1, 1).contiguous(memory_format=torch.channels_last)
        self._bands = [_Band.of(across, first) for first in range(0, columns, _BAND_COLUMNS)]

    def forward(self, planes: Tensor, gates: int) -> Tensor:
        """Return counts `[view, column, gate * slice]` of planes `[view, column, node, gate * slice]`."""
        views, _, _, width = planes.shape
        along = self._blur_along(planes, gates).view(views, -1, width)
        return torch.cat([band.gather(along, self.count) for band in self._bands], dim=1)

    def adjoint(self, counts: Tensor, gates: int) -> Tensor:
        """Return planes `[view, column, node, gate * slice]` of counts `[view, column, gate * slice]`."""
        views, columns, width = counts.shape
        across = torch.cat([band.spread(counts) for band in self._bands], dim=1)
        return self._blur_along(across.view(views, columns, self.count, width), gates)

    def _blur_along(self, planes: Tensor, gates: int) -> Tensor:
        """Return planes `[view, column, node, gate * slice]`, each node's blurred along the slices."""
        views, columns, nodes, width = planes.shape
        slices = width // gates
        lines = planes.view(views, columns, nodes, gates, slices).transpose(2, 3)
        if planes.device.type == "cpu":
            # One group of channels per node and a kernel of one pixel: the products that torch's convolution does
            # about twice as fast as its batched product, and without a copy of the planes.
            pixels = lines.reshape(views, columns, gates, nodes * slices).permute(0, 3, 1, 2)
            blurred = conv2d(pixels, self._kernels, groups=nodes).permute(0, 2, 3, 1)
        else:
            blurred = torch.matmul(lines.unsqueeze(-2), self._along).squeeze(-2)
        return blurred.reshape(views, columns, gates, nodes, slices).transpose(2, 3).reshape(planes.shape)


@dataclass(frozen=True)
class _Band:
    """Neighboring columns of the blurs across: what they gather from the columns within reach, and spread to them."""

    first: int  # column within reach
    last: int  # and the one behind
    gathering: Tensor  # [column, column within reach * node]
    spreading: Tensor  # [column * node, column within reach]

    @classmethod
    def of(cls, across: Tensor, column: int) -> _Band:
        """Return the band that begins at this column of the matrices `[node, output, input]`, which are symmetric."""
        rows = across[:, column : column + _BAND_COLUMNS]
        reached = torch.nonzero(rows.abs().amax((0, 1))).flatten()
        first, last = int(reached[0]), int(reached[-1]) + 1
        rows = rows[:, :, first:last]
        return cls(first, last, rows.permute(1, 2, 0).flatten(1).contiguous(), rows.transpose(0, 1).flatten(0, 1))

    def gather(self, planes: Tensor, nodes: int) -> Tensor:
        """Return the band's columns `[view, column, n]` of planes `[view, column * node, n]`."""
        return torch.bmm(
            self.gathering.expand(planes.shape[0], -1, -1), planes[:, self.first * nodes : self.last * nodes]
        )

    def spread(self, counts: Tensor) -> Tensor:
        """Return the band's planes `[view, column * node, n]` of counts `[view, column, n]`."""
        return torch.bmm(self.spreading.expand(counts.shape[0], -1, -1), counts[:, self.first : self.last])


class CollapsedGroup:
    """Views without attenuation: one sparse matrix from voxels to (view, column, node)."""

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
        place = (((view * frame.columns + column) * nodes + node) * mask.numel()) + voxel
        unique, inverse = torch.unique(place, return_inverse=True)
        merged = torch.zeros(unique.numel(), dtype=weight.dtype, device=mask.device).index_add_(0, inverse, weight)
        self._shape = (len(angles_deg), frame.columns, nodes)
        rows = int(np.prod(self._shape))
        self._pair = SparsePair.from_entries(
            unique // mask.numel(), unique % mask.numel(), merged.to(dtype), (rows, mask.numel())
        )

    def forward(self, dense: Tensor, gates: int, blur: DetectorBlur | None) -> Tensor:
        """Return counts `[view, column, gate * slice]` of an activity `[voxel, gate * slice]`."""
        planes = self._pair.matrix.apply(dense).view(*self._shape, dense.shape[1])
        return planes[:, :, 0] if blur is None else blur.forward(planes, gates)

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
        self._frame = (frame.depths, frame.columns)
        self._blocks = [slice(first, min(first + views_at_once, views)) for first in range(0, views, views_at_once)]
        self._rows = [self._rows_of(block) for block in self._blocks]
        self._shares = [_nodes_of(share, block, frame.columns) for block in self._blocks]
        self._escape = self._escape_of(mu_per_cm, frame, views)
        if sensitivity is not None:
            self._escape *= sensitivity

    def forward(self, dense: Tensor, gates: int, blur: DetectorBlur | None) -> Tensor:
        """Return counts `[view, column, gate * slice]` of an activity `[voxel, gate * slice]`."""
        counts = []
        for block, rows, share in zip(self._blocks, self._rows, self._shares, strict=True):
            planes = rows.apply(dense).view(-1, *self._frame, gates, dense.shape[1] // gates)
            planes.mul_(self._escape[block, :, :, None])
            if blur is None:
                counts.append(planes.sum(1).flatten(2))
            else:
                nodes = share.matrix.apply(planes.view(-1, dense.shape[1]))
                counts.append(blur.forward(nodes.view(-1, self._frame[1], blur.count, dense.shape[1]), gates))
        return torch.cat(counts)

    def adjoint(self, counts: Tensor, gates: int, blur: DetectorBlur | None, scratch: Scratch) -> Tensor:
        """Return the activity `[voxel, gate * slice]` of counts `[view, column, gate * slice]`."""
        views, columns, width = counts.shape
        all_planes = scratch.take((views, *self._frame, gates, width // gates), counts)
        for block, share in zip(self._blocks, self._shares, strict=True):
            if blur is None:
                planes = counts[block].view(-1, 1, columns, gates, width // gates)
            else:
                nodes = blur.adjoint(counts[block], gates)
                planes = share.transpose.apply(nodes.view(-1, width)).view(-1, *self._frame, gates, width // gates)
            torch.mul(planes, self._escape[block, :, :, None], out=all_planes[block])
        return self._pair.transpose.apply(all_planes.view(-1, width))

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
        for block, rows in zip(self._blocks, self._rows, strict=True):
            mu = rows.apply(mu_per_cm).view(-1, frame.depths, frame.columns * mu_per_cm.shape[1])
            torch.exp(torch.matmul(to_detector, mu), out=escape[block].view(mu.shape))
        return escape


def _nodes_of(share: Tensor | None, block: slice, columns: int) -> SparsePair:
    """Return the map from samples (view, depth, column) to nodes (view, column, node); empty without nodes.

    Each plane goes to two nodes of a dozen, which a sparse matrix does faster than a product of dense ones.
    """
    part = torch.zeros(1, 1, 1) if share is None else share[block]
    views, nodes, depths = part.shape
    view, column, node, depth = torch.nonzero(part[:, None].expand(-1, columns, -1, -1), as_tuple=True)
    rows = (view * columns + column) * nodes + node
    samples = (view * depths + depth) * columns + column
    shape = (views * nodes * columns, views * depths * columns)
    return SparsePair.from_entries(rows, samples, part[view, node, depth], shape)


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
