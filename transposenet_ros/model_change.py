"""A change of the scene model while the node runs: the new one is loaded beside the old one, or nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rclpy.node import Node

from transposenet_core.errors import UserError
from transposenet_ros.guarded_localizer import GuardedLocalizer
from transposenet_ros.ros_commands import start_node
from transposenet_ros.waiting_service import prepare_parameter_changes


class ModelChange:
    """Prepares what the parameter `model` is to become; `check` and `take` are for the callbacks of that parameter.

    `load` makes a localizer that is warmed up; `is_configured` says whether there is an old one at all.
    """

    def __init__(self, node: Node, load: Callable[[str], GuardedLocalizer], is_configured: Callable[[], bool]) -> None:
        self._load, self._is_configured = load, is_configured
        # By model, until the request for it has its response: the localizer, or why there is none.
        self._prepared: dict[str, GuardedLocalizer | str] = {}
        self._pool = ThreadPoolExecutor(1, "load_model")
        prepare_parameter_changes(node, "model", self._prepare, self._forget, self._pool)

    def check(self, model: str) -> str:
        """Why a configured node cannot take this model; empty where it can."""
        if model not in self._prepared:  # set from within the process: nobody has prepared it
            self._prepare(model)
        prepared = self._prepared.get(model, "the node was cleaned up meanwhile; set the parameter again")
        return prepared if isinstance(prepared, str) else ""

    def take(self, model: str) -> GuardedLocalizer | None:
        """The localizer that was prepared for `model`, once."""
        prepared = self._prepared.pop(model, None)
        return prepared if isinstance(prepared, GuardedLocalizer) else None

    def close(self) -> None:
        """Wait for the model that is being loaded, and load no other."""
        self._pool.shutdown(cancel_futures=True)

    def _prepare(self, model: str) -> None:
        if not self._is_configured():
            return
        try:
            self._prepared[model] = self._load(model)
        except Exception as error:  # noqa: BLE001 - whatever it was, the old model stays in use
            self._prepared[model] = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"

    def _forget(self, model: str) -> None:
        """A model whose set of parameters was refused must not stay in memory."""
        self._prepared.pop(model, None)


def allowed_model(model: str, models_dir: str, running: bool) -> Path:
    """The folder of a model that may be loaded. UserError where it is empty or outside `models_dir`.

    Links are followed first: one inside the folder that points out of it leads outside. Without a `models_dir` a
    running node keeps its model: otherwise setting a parameter could make it read any file.
    """
    if not model:
        raise UserError(
            "parameter 'model' is empty; set it to the folder of a scene model (transposenet train --out), as in "
            f"{start_node()}"
        )
    path = Path(model).expanduser().resolve()
    if not models_dir:
        if running:
            raise UserError(
                "a running node loads models only from below parameter 'models_dir', which is empty; set it at start"
            )
        return path
    if not path.is_relative_to(Path(models_dir).expanduser().resolve()):
        raise UserError(f"parameter 'model' is {model}, which is not below parameter 'models_dir' ({models_dir})")
    return path
