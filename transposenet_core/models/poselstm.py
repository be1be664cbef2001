"""PoseLSTM: Walch et al., "Image-based localization using LSTMs for structured feature correlation", 2017."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from transposenet_core.models.posenet import PoseNet, Regressor

ROWS, STATE = 32, 256


class LSTMRegressor(Regressor):
    """A regressor that reduces its feature vector, as a matrix of 32 rows, by LSTMs from all four sides.

    Four LSTMs of 256 units run over the rows up and down and over the columns left and right; the pose is regressed
    from their final states, 1024 numbers (section 3.2). The vector's 2048 numbers are 32 x 64.
    """

    def reduction(self, width: int) -> int:
        self.over_rows = nn.LSTM(width // ROWS, STATE, batch_first=True, bidirectional=True)
        self.over_columns = nn.LSTM(ROWS, STATE, batch_first=True, bidirectional=True)
        return 4 * STATE

    def reduced(self, feature_BC: torch.Tensor) -> torch.Tensor:
        matrix_BRC = feature_BC.unflatten(1, (ROWS, -1))
        _, (rows_2BS, _) = self.over_rows(matrix_BRC)
        _, (columns_2BS, _) = self.over_columns(matrix_BRC.transpose(1, 2))
        return torch.cat((*rows_2BS, *columns_2BS), dim=-1)


class PoseLSTM(PoseNet):
    """PoseNet whose three regressors reduce their vectors by LSTMs in four directions. Options are PoseNet's."""

    AUXILIARY_REGRESSOR: ClassVar[type[Regressor]] = LSTMRegressor
    REGRESSOR: ClassVar[type[Regressor]] = LSTMRegressor
