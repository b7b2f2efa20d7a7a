"""A sparse matrix that is applied to many dense columns at once, and its exact transpose.

Both directions are gathers (torch's `embedding_bag`): every output row adds up its own entries in a fixed order, so
the result does not depend on threads or atomics, and the columns (axial slices, gates) are vectorised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


@dataclass(frozen=True)
class SparseRows:
    """A matrix stored by rows: row i holds `values[offsets[i]:offsets[i + 1]]` at the columns `indices[...]`."""

    indices: Tensor
    offsets: Tensor
    values: Tensor

    def apply(self, dense: Tensor) -> Tensor:
        """Return matrix @ dense for `dense` `[columns of the matrix, n]`."""
        return embedding_bag(
            self.indices, dense, self.offsets, mode="sum", per_sample_weights=self.values, include_last_offset=True
        )


@dataclass(frozen=True)
class SparsePair:
    """A matrix and its transpose, from the same entries."""

    matrix: SparseRows
    transpose: SparseRows

    @classmethod
    def from_entries(cls, rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> SparsePair:
        """Build the pair from entries (row, column, value); entries of the same place add up.

        `rows` must be ascending. Within a row the entries keep the order in which they come.
        """
        order = torch.argsort(columns, stable=True)
        return cls(
            SparseRows(columns.int(), _offsets(rows, shape[0]), values),
            SparseRows(rows[order].int(), _offsets(columns, shape[1]), values[order]),
        )


def _offsets(sorted_or_not: Tensor, count: int) -> Tensor:
    """Return where each row's entries begin, and the total, once the entries are sorted by row."""
    entries_per_row = torch.bincount(sorted_or_not, minlength=count)
    return torch.nn.functional.pad(torch.cumsum(entries_per_row, 0), (1, 0)).int()
