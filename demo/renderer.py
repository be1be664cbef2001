"""The room on VTK, off screen: import this only in a process that may crash (see `demo.render`)."""

from __future__ import annotations

import cv2
import numpy as np
import pyvista as pv
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkFloatArray, vtkUnsignedCharArray

from demo.camera_effects import Light
from demo.room import HEIGHT, LENGTH, WIDTH, Room
from demo.shapes import merged
from transposenet_core.geometry.pose import Pose

NEAR, FAR = 0.05, 12.0
OVERSAMPLING = 1.5
GLOWING = ("window", "lamp")
# Lit from below by the floor, which the lights of the renderer do not do.
CEILING_AMBIENT = 0.45


class RoomRenderer:
    """Renders images of (width, height) pixels with square pixels and the principal point in the middle."""

    def __init__(self, room: Room, size: tuple[int, int], view_angle_deg: float) -> None:
        self.size = size
        window = (round(size[0] * OVERSAMPLING), round(size[1] * OVERSAMPLING))
        self.plotter = pv.Plotter(off_screen=True, window_size=window, lighting="none")
        self.plotter.background_color = "black"
        self.sun = pv.Light(light_type="scene light", color=(1.0, 0.95, 0.86))
        self.lamp = pv.Light(light_type="scene light", positional=True, cone_angle=180, color=(1.0, 0.97, 0.92))
        self.plotter.add_light(self.sun)
        self.plotter.add_light(self.lamp)
        # Near objects first, walls last: hidden surfaces are then never shaded.
        shell = {surface.texture for surface in room.shell}
        names = sorted(room.textures, key=lambda name: name in shell)
        self.actors = {name: actor for name in names if (actor := self._add(name, room)) is not None}
        self.plotter.camera.view_angle = view_angle_deg
        self.plotter.show(auto_close=False)

    def _add(self, name: str, room: Room) -> pv.Actor | None:
        """One actor for all surfaces that share a texture: few draw calls."""
        surfaces = [s for s in room.shell + [s for t in room.things for s in t.surfaces] if s.texture == name]
        if not surfaces:
            return None
        surface = merged(surfaces)
        mesh = pv.PolyData.from_regular_faces(surface.points_N3.astype(np.float32), surface.triangles_M3)
        mesh.point_data.active_normals = surface.normals_N3.astype(np.float32)
        mesh.active_texture_coordinates = surface.uv_N2.astype(np.float32)
        texture = pv.Texture(np.ascontiguousarray(room.textures[name]))
        texture.mipmap = texture.interpolate = True
        # Mesa's software renderer spends minutes on anisotropic filtering of a face seen exactly edge-on.
        texture.SetMaximumAnisotropicFiltering(1.0)
        actor = self.plotter.add_mesh(mesh, texture=texture, smooth_shading=True, reset_camera=False)
        actor.prop.specular = 0.0
        actor.prop.diffuse = 0.25 if name in GLOWING else 1.0
        return actor

    def render(self, pose: Pose, light: Light) -> np.ndarray:
        """The clean image (H, W, 3) uint8 RGB from `T_map_camera`."""
        self._set_light(light)
        camera, R = self.plotter.camera, pose.rotation_33
        camera.position = pose.position
        camera.focal_point = pose.position + R[:, 2]
        camera.up = -R[:, 1]
        camera.clipping_range = (NEAR, FAR)
        window = self.plotter.render_window
        window.Render()
        width, height = window.GetSize()
        pixels = vtkUnsignedCharArray()
        window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
        image_HW3 = vtk_to_numpy(pixels).reshape(height, width, 3)[::-1]
        return cv2.resize(image_HW3, self.size, interpolation=cv2.INTER_AREA)

    def depth(self) -> np.ndarray:
        """Depth along the optical axis (H, W) in metres of the last rendered image, never between two surfaces."""
        window = self.plotter.render_window
        width, height = window.GetSize()
        buffer = vtkFloatArray()
        window.GetZbufferData(0, 0, width - 1, height - 1, buffer)
        z_HW = vtk_to_numpy(buffer).reshape(height, width)[::-1].astype(np.float64)
        inverse = (1 - z_HW) / NEAR + z_HW / FAR
        # 1/z is linear over a plane, so interpolating it is exact; across an edge the nearest sample is taken.
        smooth = cv2.resize(inverse, self.size, interpolation=cv2.INTER_LINEAR)
        nearest = cv2.resize(inverse, self.size, interpolation=cv2.INTER_NEAREST_EXACT)
        return 1 / np.where(np.abs(smooth - nearest) < 0.02, smooth, nearest)

    def _set_light(self, light: Light) -> None:
        azimuth, elevation = np.radians([light.sun_azimuth, light.sun_elevation])
        towards = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        middle = np.array([LENGTH / 2, WIDTH / 2, 0])
        self.sun.focal_point, self.sun.position = middle, middle + 10 * towards
        self.sun.intensity = light.sun
        self.lamp.position, self.lamp.focal_point = (*light.lamp_xy, HEIGHT - 0.25), (*light.lamp_xy, 0)
        self.lamp.intensity = light.lamp
        for name, actor in self.actors.items():
            extra = CEILING_AMBIENT if name == "ceiling" else 0.0
            actor.prop.ambient = 0.85 if name in GLOWING else light.ambient + extra
