"""Triangle surfaces with normals and texture coordinates: boxes, cylinders, spheres and rectangles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles that share one texture: points (N, 3) metres, normals (N, 3), uv (N, 2), triangles (M, 3) indices."""

    points_N3: np.ndarray
    normals_N3: np.ndarray
    uv_N2: np.ndarray
    triangles_M3: np.ndarray
    texture: str

    def moved(self, offset: tuple[float, float, float], yaw_deg: float = 0.0) -> Surface:
        """Rotated about z, then translated."""
        c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
        R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        return replace(self, points_N3=self.points_N3 @ R.T + offset, normals_N3=self.normals_N3 @ R.T)


def rectangle(centre, right, up, texture: str, repeat: tuple[float, float] = (1.0, 1.0)) -> Surface:
    """A rectangle seen from `right x up`; `right` and `up` are its half edges, `repeat` how often the texture fits."""
    centre, right, up = (np.asarray(v, dtype=float) for v in (centre, right, up))
    normal = np.cross(right, up)
    corners = [centre - right - up, centre + right - up, centre + right + up, centre - right + up]
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float) * repeat
    normals = np.tile(normal / np.linalg.norm(normal), (4, 1))
    return Surface(np.array(corners), normals, uv, np.array([[0, 1, 2], [0, 2, 3]]), texture)


def merged(surfaces: list[Surface]) -> Surface:
    """One surface of several that share a texture."""
    starts = np.cumsum([0] + [len(s.points_N3) for s in surfaces[:-1]])
    return Surface(
        np.concatenate([s.points_N3 for s in surfaces]),
        np.concatenate([s.normals_N3 for s in surfaces]),
        np.concatenate([s.uv_N2 for s in surfaces]),
        np.concatenate([s.triangles_M3 + start for s, start in zip(surfaces, starts, strict=True)]),
        surfaces[0].texture,
    )


def box(centre, size, texture: str, yaw_deg: float = 0.0) -> Surface:
    """An axis-parallel box rotated about its own z; each face has the whole texture, upright on the sides."""
    x, y, z = np.diag(np.asarray(size, dtype=float) / 2)
    faces = [(x, y, z), (-x, -y, z), (y, -x, z), (-y, x, z), (z, y, -x), (-z, y, x)]
    sides = [rectangle(normal, right, up, texture) for normal, right, up in faces]
    return merged(sides).moved(tuple(centre), yaw_deg)


def revolved(centre, profile_K2, texture: str, segments: int = 20) -> Surface:
    """A body of revolution about z: profile (K, 2) of radius and height above `centre`, from bottom to top.

    At a kink the profile point must be given twice: every segment has the normals of its own slope.
    """
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    profile = np.asarray(profile_K2, dtype=float)
    heights = (profile[:, 1] - profile[:, 1].min()) / max(np.ptp(profile[:, 1]), 1e-9)
    pieces = []
    for (r0, z0), (r1, z1), v0, v1 in zip(profile[:-1], profile[1:], heights[:-1], heights[1:], strict=True):
        slope = np.array([z1 - z0, r0 - r1])
        if not slope.any():
            continue
        slope = slope / np.linalg.norm(slope)
        points = [np.column_stack([ring * r, np.full(segments + 1, z)]) for r, z in ((r0, z0), (r1, z1))]
        normals = np.column_stack([ring * slope[0], np.full(segments + 1, slope[1])])
        uv = [np.column_stack([angles / (2 * np.pi), np.full(segments + 1, v)]) for v in (v0, v1)]
        i = np.arange(segments)
        j = i + segments + 1
        triangles = np.concatenate([np.stack([i, i + 1, j + 1], 1), np.stack([i, j + 1, j], 1)])
        pieces.append(Surface(np.concatenate(points), np.tile(normals, (2, 1)), np.concatenate(uv), triangles, texture))
    return merged(pieces).moved(tuple(centre))


def cylinder(centre, radius: float, height: float, texture: str, segments: int = 20) -> Surface:
    """An upright closed cylinder; `centre` is the middle of its foot."""
    profile = [(0, 0), (radius, 0), (radius, height), (0, height)]
    return revolved(centre, profile, texture, segments)


def cone(centre, radius: float, height: float, texture: str) -> Surface:
    """An upright cone; `centre` is the middle of its foot."""
    return revolved(centre, [(radius, 0), (radius * 0.08, height), (0, height)], texture)


def sphere(centre, radius: float, texture: str, segments: int = 20) -> Surface:
    """A sphere with smooth normals."""
    a = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    body = revolved((0, 0, 0), np.stack([radius * np.cos(a), radius * np.sin(a)], axis=1), texture, segments)
    return replace(body, normals_N3=body.points_N3 / radius).moved(tuple(centre))
