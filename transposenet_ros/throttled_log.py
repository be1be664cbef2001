"""A log that repeats a line at most every few seconds: at camera rate it would be unreadable otherwise."""

from __future__ import annotations

import time
from typing import Any

LOG_SECONDS = 5.0


class ThrottledLog:
    """A node's logger with a key for each subject, which gets one line per `seconds`; each method returns whether it
    logged."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._logged: dict[str, float] = {}

    # Three methods with a line each: rclpy refuses a severity that changes at one call site.
    def info(self, key: str, text: str) -> bool:
        return self._is_due(key, LOG_SECONDS) and self._logger.info(text)

    def warning(self, key: str, text: str, seconds: float = LOG_SECONDS) -> bool:
        return self._is_due(key, seconds) and self._logger.warning(text)

    def error(self, key: str, text: str) -> bool:
        return self._is_due(key, LOG_SECONDS) and self._logger.error(text)

    def _is_due(self, key: str, seconds: float) -> bool:
        now = time.monotonic()
        due = now - self._logged.get(key, -float("inf")) >= seconds
        if due:
            self._logged[key] = now
        return due
