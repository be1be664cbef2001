"""Rendered once for all tests of the trainings' data."""

from pathlib import Path

import numpy as np
import pytest
from rendered_room import POSE, ROTATION, TRANSLATION, render_room


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.png and 1.png: the room from a camera and from the same camera moved, with their depth."""
    T_old_new = np.eye(4)
    T_old_new[:3, :3], T_old_new[:3, 3] = ROTATION.as_matrix(), TRANSLATION
    return render_room(tmp_path_factory.mktemp("room"), [POSE.matrix_44, POSE.matrix_44 @ T_old_new])
