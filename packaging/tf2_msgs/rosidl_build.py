"""Generates and compiles tf2_msgs/msg/TFMessage against the ROS 2 wheels of the running Python.

`check_machine` raises where the machine prevents the build; `build` writes the finished Python package into a folder.
The generators are driven from Python because the `rosidl` command fails with these wheels (duplicate entry points).
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "tf2_msgs"
EXTENSION = "tf2_msgs_s__rosidl_typesupport_c"
OFFICIAL_TYPE_HASH = "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"
OURS = "Built by transposenet_ros"

FASTRTPS = "rosidl_typesupport_fastrtps_c"
INTROSPECTION = "rosidl_typesupport_introspection_c"
RUNTIME = ["rosidl_runtime_c", "rcutils"]
GENERATORS = ["rosidl_generator_type_description", "rosidl_generator_c", "rosidl_generator_py", "rosidl_typesupport_c"]


class BuildError(Exception):
    """Something on this machine prevents the build; the message has what to do."""


def check_machine() -> None:
    """Raises BuildError where a tf2_msgs of another origin is present or a tool for the build is missing."""
    environment = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes = {Path(p) for p in [sys.prefix, *environment] if p}
    folders = {Path(p) for p in [*sys.path, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")] if p}
    refuse_foreign(prefixes, folders)
    require_tools()


def refuse_foreign(prefixes: Iterable[Path], import_folders: Iterable[Path]) -> None:
    """Raises BuildError where an ament prefix or an import folder holds a tf2_msgs that is not ours."""
    foreign = [prefix / "share" / PACKAGE for prefix in prefixes if (prefix / "share" / PACKAGE).is_dir()]
    for folder in import_folders:
        init = folder / PACKAGE / "__init__.py"
        if init.is_file() and OURS not in init.read_text():
            foreign.append(init.parent)
    if foreign:
        raise BuildError(
            f"tf2_msgs is already installed at {min(foreign)} by another distribution; "
            "use that one and do not install packaging/tf2_msgs over it"
        )


def require_tools() -> None:
    """Raises BuildError where a compiler, the Python headers or the ROS generators are missing."""
    for compiler in ("gcc", "g++"):
        if shutil.which(compiler) is None:
            raise BuildError(f"{compiler} is missing, and tf2_msgs is compiled here: sudo apt install {compiler}")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BuildError(f"the Python headers are missing ({header}): sudo apt install python{version}-dev")
    absent = [name for name in [*GENERATORS, FASTRTPS, INTROSPECTION, "numpy", "yaml"] if find_spec(name) is None]
    if absent:
        raise BuildError(
            f"the build needs the Python module {absent[0]}: "
            "pip install numpy pyyaml 'ros-jazzy-rclpy[fastrtps]' ros-jazzy-common-interfaces"
        )


def build(idl: Path, work: Path, target: Path) -> None:
    """Writes the package tf2_msgs into `target` from the folder `idl`, with `work` for what is generated on the way."""
    shutil.rmtree(work, ignore_errors=True)
    prefix = ament_prefix()
    # The generators look their templates up in the ament index, which the wheels do not announce.
    os.environ["AMENT_PREFIX_PATH"] = str(prefix)
    description = generate(idl, work, prefix)
    refuse_other_type_hash(description)
    (target / "msg").mkdir(parents=True, exist_ok=True)
    Linker(work, target, prefix).link_all()
    (target / "__init__.py").write_text(f'"""{OURS} from a one-message IDL."""\n')
    for path in [*(work / PACKAGE / "msg").glob("*.py"), description]:
        shutil.copy(path, target / "msg")


def ament_prefix() -> Path:
    """The folder that holds include/, lib/ and share/ of the ROS wheels; in pip's isolated build not sys.prefix."""
    import rosidl_generator_py

    return Path(rosidl_generator_py.__file__).resolve().parents[4]


def generate(idl: Path, work: Path, prefix: Path) -> Path:
    """Runs the interface generators into `work`; returns the JSON description that holds the type hash."""
    from rosidl_generator_c.cli import GenerateC
    from rosidl_generator_py.cli import GeneratePython
    from rosidl_generator_type_description.cli import HashTypeDescription
    from rosidl_typesupport_c.cli import GenerateCTypesupport
    from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
    from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport

    # The introspection type support has a root of its own: two of its files share a name with the C generator's.
    out, introspection_out = work / PACKAGE, work / "introspection" / PACKAGE
    out.mkdir(parents=True)
    introspection_out.mkdir(parents=True)
    files = [f"{idl}:msg/TFMessage.idl"]
    included = [str(prefix / "share" / name) for name in ("geometry_msgs", "std_msgs", "builtin_interfaces")]
    descriptions = HashTypeDescription("hash").generate_type_hashes(PACKAGE, files, included, out)
    GenerateC("c").generate(PACKAGE, files, included, out, type_description_files=[str(d) for d in descriptions])
    GenerateFastRTPSCTypesupport("fastrtps").generate(PACKAGE, files, included, out)
    GenerateIntrospectionCTypesupport("introspection").generate(PACKAGE, files, included, introspection_out)
    dispatched = [FASTRTPS, INTROSPECTION]
    GenerateCTypesupport("c", typesupport_implementations=dispatched).generate(PACKAGE, files, included, out)
    python = GeneratePython("py", typesupport_implementations=["rosidl_typesupport_c"])
    python.generate(PACKAGE, files, included, out)
    return Path(descriptions[0])


def refuse_other_type_hash(description: Path) -> None:
    """Raises BuildError unless the generated type is the one every ROS 2 peer knows."""
    hashes = {entry["type_name"]: entry["hash_string"] for entry in json.loads(description.read_text())["type_hashes"]}
    generated = hashes[f"{PACKAGE}/msg/TFMessage"]
    if generated != OFFICIAL_TYPE_HASH:
        raise BuildError(
            f"the generated TFMessage has type hash {generated}, other ROS machines expect {OFFICIAL_TYPE_HASH}; "
            "restore idl/msg/TFMessage.idl and install the Jazzy wheels"
        )


class Linker:
    """Compiles generated sources and links them into the shared libraries of the package."""

    def __init__(self, work: Path, target: Path, prefix: Path) -> None:
        import numpy

        self.work, self.target, self.prefix = work, target, prefix
        per_package = [d for d in sorted((prefix / "include").iterdir()) if not d.name.startswith("python")]
        roots = [work, work / "introspection", work / PACKAGE, prefix / "include", *per_package]
        includes = [*roots, sysconfig.get_path("include"), numpy.get_include()]
        self.compile_flags = ["-fPIC", "-O2", "-DNDEBUG", *(f"-I{folder}" for folder in includes)]

    def link_all(self) -> None:
        """The message's own library first: every later one is linked against those before it."""
        out, detail = self.work / PACKAGE, self.work / PACKAGE / "msg" / "detail"
        introspection = self.work / "introspection" / PACKAGE / "msg" / "detail"
        own, geometry = f"{PACKAGE}__rosidl_generator_c", "geometry_msgs__rosidl_generator_c"
        self.library(
            own,
            [detail / f"tf_message__{part}.c" for part in ("functions", "description", "type_support")],
            [geometry, "std_msgs__rosidl_generator_c", "builtin_interfaces__rosidl_generator_c"],
        )
        self.library(
            f"{PACKAGE}__{FASTRTPS}",
            [detail / "tf_message__type_support_c.cpp"],
            [
                own,
                geometry,
                f"geometry_msgs__{FASTRTPS}",
                FASTRTPS,
                "rosidl_typesupport_fastrtps_cpp",
                "fastcdr",
                "rmw",
            ],
        )
        self.library(
            f"{PACKAGE}__{INTROSPECTION}",
            [introspection / "tf_message__type_support.c"],
            [own, geometry, f"geometry_msgs__{INTROSPECTION}", INTROSPECTION],
        )
        glue = ["msg/tf_message__type_support.cpp", "msg/_tf_message_s.c", f"_{PACKAGE}_s.ep.rosidl_typesupport_c.c"]
        supports = [f"{PACKAGE}__{FASTRTPS}", f"{PACKAGE}__{INTROSPECTION}", "rosidl_typesupport_c"]
        libraries = [own, *supports, geometry, "geometry_msgs__rosidl_generator_py"]
        self.link(f"{EXTENSION}{sysconfig.get_config_var('EXT_SUFFIX')}", [out / name for name in glue], libraries, [])

    def library(self, name: str, sources: Sequence[Path], libraries: Sequence[str]) -> None:
        """A library that rosidl_typesupport_c opens by its bare name: that works because of the SONAME."""
        file_name = f"lib{name}.so"
        self.link(file_name, sources, libraries, [f"-Wl,-soname,{file_name}", "-Wl,--no-undefined"])

    def link(self, file_name: str, sources: Sequence[Path], libraries: Sequence[str], flags: Sequence[str]) -> None:
        """Compiles and links one shared object that finds its neighbours and the ROS wheels' libraries at run time."""
        lib = self.prefix / "lib"
        search = [f"-L{self.target}", f"-L{lib}", f"-Wl,-rpath-link,{lib}", "-Wl,-rpath,$ORIGIN:$ORIGIN/../../.."]
        objects = [self.compile(source) for source in sources]
        # --no-as-needed: nothing calls the type supports by symbol, so the linker would leave them out.
        names = ["-Wl,--no-as-needed", *(f"-l{name}" for name in [*libraries, *RUNTIME])]
        run(["g++", "-shared", "-o", str(self.target / file_name), *objects, *search, *flags, *names])

    def compile(self, source: Path) -> str:
        """Compiles one source beside itself; returns the path of the object file."""
        compiler = ["gcc", "-std=gnu11"] if source.suffix == ".c" else ["g++", "-std=c++17"]
        run([*compiler, *self.compile_flags, "-c", str(source), "-o", f"{source}.o"])
        return f"{source}.o"


def run(command: Sequence[str]) -> None:
    """Runs a compiler; raises BuildError with what it printed."""
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise BuildError(f"{command[0]} failed while building tf2_msgs:\n{' '.join(command)}\n{result.stderr}")
