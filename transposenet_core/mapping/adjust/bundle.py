"""Bundle adjustment with a prior on the position and the rotation of every frame, by Ceres through pycolmap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.mapping.adjust.lens import Lens

HALF_PIXEL = 0.5  # COLMAP's pixel centres are at half numbers, ours are whole
SPARSE_FRAMES = 1500  # up to here the reduced system is factorised, beyond it is solved by iterations
# Weak knowledge about any lens, so that a recording that does not show it leaves it where it was stated.
FOCAL_SIGMA, ASPECT_SIGMA, CENTRE_SIGMA, RADIAL_SIGMA, HELD_SIGMA = 0.2, 1e-4, 0.015, 0.2, 1e-6


@dataclass(frozen=True, eq=False)
class Observations:
    """Which frame sees which point where: ``frame_O`` and ``point_O`` (O,) int, ``pixel_O2`` (O, 2) working pixels."""

    frame_O: np.ndarray
    point_O: np.ndarray
    pixel_O2: np.ndarray

    def only(self, keep_O: np.ndarray) -> Observations:
        return Observations(self.frame_O[keep_O], self.point_O[keep_O], self.pixel_O2[keep_O])


@dataclass(frozen=True, eq=False)
class Cameras:
    """``T_map_camera`` of all frames: ``position_N3`` and ``rotation_N33``."""

    position_N3: np.ndarray
    rotation_N33: np.ndarray


@dataclass(frozen=True, eq=False)
class PosePrior:
    """Where the cameras are expected, and how sure that is: ``covariance_N66`` of position, then rotation vector,
    along the map's axes. Units of the map and radians."""

    cameras: Cameras
    covariance_N66: np.ndarray


@dataclass(frozen=True, eq=False)
class BundleOptions:
    """``loss_px`` is where the Cauchy loss begins to doubt an observation, ``prior_loss`` in its sigma where it
    begins to doubt a recorded pose; ``lens`` is whether the lens is adjusted."""

    loss_px: float
    lens: bool
    iterations: int
    threads: int = 1
    prior_loss: float = 3.0


def adjust_bundle(
    cameras: Cameras, lens: Lens, point_P3: np.ndarray, seen: Observations, prior: PosePrior, options: BundleOptions
) -> tuple[Cameras, Lens, np.ndarray]:
    """Cameras, lens and points (P, 3) that agree best with what the images show and with the prior.

    Triggs et al., "Bundle Adjustment: A Modern Synthesis", 2000. Frames without observations stay at their prior.
    """
    import pyceres  # before pycolmap's adjuster: it registers the types that the adjuster returns
    import pycolmap

    pyceres.logging.minloglevel = pyceres.logging.ERROR  # a step that fails is made again, shorter: no news to a user
    model = _reconstruction(cameras, lens, point_P3, seen)
    config = pycolmap.BundleAdjustmentConfig()
    for frame in np.unique(seen.frame_O):
        config.add_image(int(frame) + 1)
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(_options(options, lens), config, model)
    problem = adjuster.problem
    kept = [_add_lens_prior(problem, model, lens)] if options.lens else []  # Ceres borrows what Python made
    kept += _add_pose_priors(problem, model, seen, prior, options.prior_loss)
    solver = pyceres.SolverOptions()
    frames = len(np.unique(seen.frame_O))
    types = pyceres.LinearSolverType
    solver.linear_solver_type = types.SPARSE_SCHUR if frames <= SPARSE_FRAMES else types.ITERATIVE_SCHUR
    solver.preconditioner_type = pyceres.PreconditionerType.SCHUR_JACOBI
    solver.max_num_iterations = options.iterations
    solver.function_tolerance = 1e-5
    solver.num_threads = options.threads
    solver.logging_type = pyceres.LoggingType.SILENT
    summary = pyceres.SolverSummary()
    pyceres.solve(solver, problem, summary)
    del kept
    return _result(model, cameras, lens, len(point_P3))


def _reconstruction(cameras: Cameras, lens: Lens, point_P3: np.ndarray, seen: Observations) -> Any:
    import pycolmap

    model = pycolmap.Reconstruction()
    size = lens.stated.width, lens.stated.height
    params = lens.params_Q.copy()
    params[2:4] += HALF_PIXEL
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(model=lens.model, width=size[0], height=size[1], params=params, camera_id=1)
    )
    order = np.lexsort((seen.point_O, seen.frame_O))
    frame_O, point_O, pixel_O2 = seen.frame_O[order], seen.point_O[order], seen.pixel_O2[order] + HALF_PIXEL
    starts = np.searchsorted(frame_O, np.arange(len(cameras.position_N3) + 1))
    index_O = np.arange(len(order)) - starts[frame_O]
    quaternions = Rotation.from_matrix(cameras.rotation_N33).inv().as_quat()
    offsets = -np.einsum("nji,nj->ni", cameras.rotation_N33, cameras.position_N3)
    for n in np.unique(frame_O):
        image = pycolmap.Image(
            name=str(n), keypoints=pixel_O2[starts[n] : starts[n + 1]], camera_id=1, image_id=int(n) + 1
        )
        T = pycolmap.Rigid3d(pycolmap.Rotation3d(quaternions[n]), offsets[n])
        model.add_image_with_trivial_frame(image, T)
    by_point = np.lexsort((frame_O, point_O))
    edges = np.searchsorted(point_O[by_point], np.arange(len(point_P3) + 1))
    elements = [pycolmap.TrackElement(int(f) + 1, int(k)) for f, k in zip(frame_O[by_point], index_O[by_point])]
    for p in range(len(point_P3)):
        if edges[p + 1] > edges[p] + 1:
            track = pycolmap.Track(elements[edges[p] : edges[p + 1]])
            model.add_point3D_with_id(p, pycolmap.Point3D(xyz=point_P3[p], track=track))
    return model


def _options(options: BundleOptions, lens: Lens) -> Any:
    import pycolmap

    made = pycolmap.BundleAdjustmentOptions()
    free = options.lens and not lens.beyond_colmap
    made.refine_focal_length = made.refine_principal_point = made.refine_extra_params = free
    made.print_summary = False
    made.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    made.ceres.loss_function_scale = options.loss_px
    return made


def _add_lens_prior(problem: Any, model: Any, lens: Lens) -> list:
    """The lens's weak prior: fx and fy keep their ratio, only k1 and k2 of its coefficients are free."""
    import pyceres

    params = model.camera(1).params
    if lens.beyond_colmap or not problem.has_parameter_block(params):
        return []
    fx, fy = lens.stated.fx, lens.stated.fy
    stated_Q = Lens.of(lens.stated).params_Q.copy()
    stated_Q[2:4] += HALF_PIXEL
    sigma_Q = np.full(len(stated_Q), HELD_SIGMA)
    sigma_Q[2:4] = CENTRE_SIGMA * lens.stated.width
    sigma_Q[4:6] = RADIAL_SIGMA
    covariance = np.diag(sigma_Q**2)
    common, apart = FOCAL_SIGMA**2, ASPECT_SIGMA**2
    covariance[:2, :2] = [
        [fx * fx * (common + apart), fx * fy * common],
        [fx * fy * common, fy * fy * (common + apart)],
    ]
    cost = pyceres.factors.NormalPrior(stated_Q, covariance)
    problem.add_residual_block(cost, None, [params])
    return [cost, params]


def _add_pose_priors(problem: Any, model: Any, seen: Observations, prior: PosePrior, loss_at: float) -> list:
    """One prior for each frame; Cauchy, because a recording has jumps."""
    import pyceres
    import pycolmap
    from pycolmap import cost_functions

    rotation_N33, position_N3 = prior.cameras.rotation_N33, prior.cameras.position_N3
    quaternions = Rotation.from_matrix(rotation_N33).inv().as_quat()
    offsets = -np.einsum("nji,nj->ni", rotation_N33, position_N3)
    loss = pyceres.CauchyLoss(loss_at)
    kept: list = [loss]
    axes_66 = np.zeros((6, 6))
    for n in np.unique(seen.frame_O):
        # Rotation first, then translation, along the camera's axes: the order and frame of pycolmap's cost.
        axes_66[:3, 3:] = axes_66[3:, :3] = rotation_N33[n].T
        covariance_66 = axes_66 @ prior.covariance_N66[n] @ axes_66.T
        T = pycolmap.Rigid3d(pycolmap.Rotation3d(quaternions[n]), offsets[n])
        cost = cost_functions.AbsolutePosePriorCost(covariance_66, T)
        block = model.frame(model.image(int(n) + 1).frame_id).rig_from_world.params
        problem.add_residual_block(cost, loss, [block])
        kept += [cost, block]
    return kept


def _result(model: Any, cameras: Cameras, lens: Lens, points: int) -> tuple[Cameras, Lens, np.ndarray]:
    position_N3, rotation_N33 = cameras.position_N3.copy(), cameras.rotation_N33.copy()
    for image_id, image in model.images.items():
        T_34 = image.cam_from_world().matrix()
        rotation_N33[image_id - 1] = T_34[:, :3].T
        position_N3[image_id - 1] = -T_34[:, :3].T @ T_34[:, 3]
    point_P3 = np.full((points, 3), np.nan)
    for point_id, point in model.points3D.items():
        point_P3[point_id] = point.xyz
    params_Q = np.array(model.camera(1).params)
    params_Q[2:4] -= HALF_PIXEL
    params_Q[6:] = lens.params_Q[6:]  # held, but for rounding
    return Cameras(position_N3, rotation_N33), lens.with_params(params_Q), point_P3
