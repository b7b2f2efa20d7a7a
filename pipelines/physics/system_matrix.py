"""The modelled camera: what activity in the patient is expected to count at each view, and the exact adjoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.physics.collimator import Collimator, FocalSensitivity, Nodes
from pipelines.physics.rotation import DetectorFrame, Support, support_mask
from pipelines.physics.view_group import AttenuatedGroup, CollapsedGroup, DetectorBlur, Scratch

_CPU_BLOCK_BYTES = 2 << 20  # of the detector's frame at once: stays in the cache, and malloc keeps it
_CPU_GROUP_BYTES = 8 << 20  # of views that are back projected together
_CPU_GROUP_VIEWS = 8  # at least so many, so that adding up the groups' volumes costs little
_CUDA_GROUP_BYTES = 512 << 20  # a GPU wants few, large launches


class SystemMatrix:
    """The linear map from activity `[gate, z, y, x]` to expected counts `[gate, view, row, column]`.

    A voxel of activity 1 gives one count per view if nothing attenuates it. With a mu-map, photons are attenuated along
    their ray, half way through their own voxel; with a collimator, they are blurred by their distance to the detector.
    The map is differentiable in its argument.

    Tensors are kept with the axial direction fastest in memory (`[y, x, gate, z]`), whatever their logical order, so
    that repeated use copies nothing. Tables are made when first needed. Not for use by two threads at once.
    """

    def __init__(
        self,
        geometry: AcquisitionGeometry,
        grid: VoxelGrid,
        *,
        mu_per_cm: Tensor | None = None,
        collimator: Collimator | None = None,
        sensitivity: FocalSensitivity | None = None,
        support: Support = Support.CIRCLE,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Describe the camera; `mu_per_cm` is `[z, y, x]` on the same grid.

        Raises ValueError when the grid does not fit the acquisition, the mu-map not the grid, or when a collimator is
        to be modelled and the acquisition has no radii.
        """
        if mu_per_cm is not None and mu_per_cm.shape != grid.shape:
            raise ValueError(f"a mu-map of shape {tuple(mu_per_cm.shape)} for a grid of shape {grid.shape}")
        if collimator is not None and geometry.radius_mm is None:
            raise ValueError("the collimator's blur depends on the radius of rotation, which the acquisition lacks")
        self.geometry = geometry
        self.grid = grid
        self.device = torch.device(device)
        self.dtype = dtype
        self._mu_per_cm = None if mu_per_cm is None else mu_per_cm.to(self.device, dtype)
        self._collimator = collimator
        self._sensitivity = sensitivity
        self._support = support
        self._frame = DetectorFrame.of(geometry, grid, support)
        self._scratch = Scratch([])

    def subset(self, views: Sequence[int]) -> SystemMatrix:
        """Return the same camera with only these views, in this order."""
        geometry = self.geometry
        radius = None if geometry.radius_mm is None else tuple(geometry.radius_mm[view] for view in views)
        chosen = replace(geometry, angles_deg=tuple(geometry.angles_deg[view] for view in views), radius_mm=radius)
        part = SystemMatrix(
            chosen,
            self.grid,
            mu_per_cm=self._mu_per_cm,
            collimator=self._collimator,
            sensitivity=self._sensitivity,
            support=self._support,
            device=self.device,
            dtype=self.dtype,
        )
        part._scratch = self._scratch
        return part

    def forward_project(self, activity: Tensor) -> Tensor:
        """Return the expected counts `[gate, view, row, column]` of an activity `[gate, z, y, x]`.

        Raises ValueError when the shape is not that of the grid.
        """
        if activity.ndim != 4 or activity.shape[1:] != self.grid.shape:
            raise ValueError(f"activity of shape {tuple(activity.shape)}; expected [gate, z, y, x] = {self.grid.shape}")
        return _linear(activity, self._forward_project, self._back_project)

    def back_project(self, projections: Tensor) -> Tensor:
        """Return the adjoint applied to projections `[gate, view, row, column]`: a volume `[gate, z, y, x]`.

        Raises ValueError when the shape is not that of the acquisition.
        """
        geometry = self.geometry
        expected = (geometry.views, geometry.rows, geometry.columns)
        if projections.ndim != 4 or projections.shape[1:] != expected:
            raise ValueError(
                f"projections of shape {tuple(projections.shape)}; expected [gate, view, row, column] = {expected}"
            )
        return _linear(projections, self._back_project, self._forward_project)

    def _forward_project(self, activity: Tensor) -> Tensor:
        gates, slices = activity.shape[:2]
        dense = activity.permute(2, 3, 0, 1).reshape(-1, gates * slices)
        counts = torch.cat([group.forward(dense, gates, self._blur) for group in self._groups])
        counts = counts.view(self.geometry.views, self._frame.columns, gates, slices)
        margin = self._frame.margin
        counts = counts[:, margin : margin + self.geometry.columns]
        return counts.permute(2, 0, 3, 1).flip(2)  # row 0 is nearest the head, slice 0 nearest the feet

    def _back_project(self, projections: Tensor) -> Tensor:
        gates, _, rows, _ = projections.shape
        margin = self._frame.margin
        counts = torch.nn.functional.pad(projections.flip(2).permute(1, 3, 0, 2), (0, 0, 0, 0, margin, margin))
        counts = counts.reshape(-1, self._frame.columns, gates * rows).contiguous()
        volume, first = None, 0
        for group, views in zip(self._groups, self._views_of_groups, strict=True):
            part = group.adjoint(counts[first : first + views], gates, self._blur, self._scratch)
            volume = part if volume is None else volume.add_(part)
            first += views
        assert volume is not None  # noqa: S101 - an acquisition has at least one view
        return volume.view(self.grid.shape[1], self.grid.shape[2], gates, rows).permute(2, 3, 0, 1)

    @cached_property
    def _nodes(self) -> Nodes | None:
        if self._collimator is None or self.geometry.radius_mm is None:
            return None
        return Nodes.of(self._collimator, self.geometry.radius_mm, self._frame.depth_mm().numpy())

    @cached_property
    def _blur(self) -> DetectorBlur | None:
        if self._nodes is None:
            return None
        axial_mm, pixel_mm = self.geometry.pixel_size_mm
        like = torch.empty((), dtype=self.dtype, device=self.device)
        return DetectorBlur(self._nodes, self._frame.columns, self.grid.shape[0], pixel_mm, axial_mm, like)

    @cached_property
    def _views_of_groups(self) -> list[int]:
        """Return how many views each group holds."""
        per_view = self._bytes_per_view
        if self.device.type == "cuda":
            at_once = max(1, _CUDA_GROUP_BYTES // per_view)
        else:
            at_once = max(_CPU_GROUP_VIEWS, _CPU_GROUP_BYTES // per_view)
        views = self.geometry.views
        return [min(at_once, views - first) for first in range(0, views, at_once)]

    @property
    def _bytes_per_view(self) -> int:
        return self._frame.depths * self._frame.columns * self.grid.shape[0] * self.dtype.itemsize

    @cached_property
    def _groups(self) -> list[CollapsedGroup | AttenuatedGroup]:
        mask = support_mask(self._frame, self.grid, self._support, self.device)
        groups: list[CollapsedGroup | AttenuatedGroup] = []
        first = 0
        for views in self._views_of_groups:
            angles = self.geometry.angles_deg[first : first + views]
            share = None
            if self._nodes is not None:
                share = torch.from_numpy(self._nodes.share[first : first + views]).to(self.device, self.dtype)
            if self._mu_per_cm is None and self._sensitivity is None:
                groups.append(CollapsedGroup(angles, self._frame, mask, share, self.dtype))
            else:
                groups.append(self._attenuated_group(angles, mask, share))
            first += views
        return groups

    def _attenuated_group(self, angles: tuple[float, ...], mask: Tensor, share: Tensor | None) -> AttenuatedGroup:
        slices = self.grid.shape[0]
        if self._mu_per_cm is None:
            mu = torch.zeros(mask.numel(), slices, dtype=self.dtype, device=self.device)
        else:
            mu = self._mu_per_cm.permute(1, 2, 0).reshape(mask.numel(), slices).contiguous()
        focus = None
        if self._sensitivity is not None:
            axial_mm, pixel_mm = self.geometry.pixel_size_mm
            across_mm = (np.arange(self._frame.columns, dtype=np.float64) - self._frame.axis_column) * pixel_mm
            along_mm = (np.arange(slices, dtype=np.float64) - (slices - 1) / 2) * axial_mm
            factor = self._sensitivity.factor(self._frame.depth_mm().numpy(), across_mm, along_mm)
            focus = torch.from_numpy(factor).to(self.device, self.dtype)
        at_once = len(angles) if self.device.type == "cuda" else max(1, _CPU_BLOCK_BYTES // self._bytes_per_view)
        return AttenuatedGroup(angles, self._frame, mask, share, mu, focus, at_once)


class _Linear(torch.autograd.Function):
    """A linear map whose derivative is its adjoint, as autograd wants it."""

    @staticmethod
    def forward(
        ctx: Any, argument: Tensor, apply: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.maps = (adjoint, apply)
        return apply(argument)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _linear(gradient, *ctx.maps), None, None


def _linear(argument: Tensor, apply: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]) -> Tensor:
    result: Tensor = _Linear.apply(argument, apply, adjoint)  # type: ignore[no-untyped-call]
    return result
