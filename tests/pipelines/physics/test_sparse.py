"""A sparse matrix and its transpose do what the dense one does."""

from __future__ import annotations

import torch

from pipelines.physics.sparse import SparsePair


def test_matrix_and_transpose_agree_with_the_dense_matrix() -> None:
    rows = torch.tensor([0, 0, 2, 2, 2, 3])
    columns = torch.tensor([1, 3, 0, 1, 1, 2])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    dense = torch.zeros(5, 4).index_put_((rows, columns), values, accumulate=True)
    pair = SparsePair.from_entries(rows, columns, values, (5, 4))
    x = torch.arange(8.0).view(4, 2)
    y = torch.arange(10.0).view(5, 2)
    torch.testing.assert_close(pair.matrix.apply(x), dense @ x)
    torch.testing.assert_close(pair.transpose.apply(y), dense.T @ y)
