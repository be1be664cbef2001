"""Views of the demo's room, rendered once for all tests of this folder."""

from __future__ import annotations

import pytest
from core.refinement.room_views import RoomViews, rendered_views


@pytest.fixture(scope="session")
def room(tmp_path_factory) -> RoomViews:
    return rendered_views(tmp_path_factory.mktemp("views"))
