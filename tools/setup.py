"""Build the project's environment: `make setup`.

Everything lands in two folders of the working copy, `.venv` and `node_modules`; nothing is written
elsewhere but the package managers' caches. Each step notes in `.venv/.backstop.json` what it was
made from (hashes of the lock files, the Python, the node) after it has succeeded, so a second run
has nothing to do and an interrupted one starts again where it stopped.

Only the standard library is used, and only syntax that an old Python can parse, so that a wrong
version of Python is told what is wrong instead of failing on a syntax error.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from shlex import quote

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "bin")
STAMPS = os.path.join(VENV, ".backstop.json")
VENV_PYTHON = os.path.join(BIN, "python")
SOLC_FOLDER = os.path.join(VENV, "solc")
NODE_MODULES = os.path.join(ROOT, "node_modules")
OLDEST, NEWEST = (3, 11), (3, 12)
OLDEST_NODE = 20
NATIVE_SOLC_PATIENCE = (
    90  # seconds for the whole download, after a 5 s probe that it is reachable at all
)

# Runs whenever the environment's Python starts: py-solc-x finds this clone's compiler, and
# ape finds anvil, also where the environment was not activated.
SITE_HOOK = (
    "import os, sys; "
    "os.environ.setdefault('SOLCX_BINARY_PATH', os.path.join(sys.prefix, 'solc')); "
    "os.environ['PATH'] = os.pathsep.join(dict.fromkeys("
    "[*os.environ.get('PATH', os.defpath).split(os.pathsep), os.path.join(sys.prefix, 'bin')]))\n"
)

NATIVE_SOLC = """
import sys
import requests, solcx
from solcx import install
listing = install.BINARY_DOWNLOAD_BASE.format(install._get_os_name(), "list.json")
requests.head(listing, timeout=5).raise_for_status()
solcx.install_solc(sys.argv[1])
"""


class SetupError(Exception):
    """Something is missing; the message says what, and what to do about it."""


def say(text):
    print("setup: " + text, flush=True)


def run(command, remedy, quiet=True, env=None, timeout=None):
    """Run a command in the project's folder; on failure show what it said and the remedy."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            timeout=timeout,
        )
    except OSError as error:
        raise SetupError("cannot start %s: %s\n%s" % (command[0], error, remedy))
    except subprocess.TimeoutExpired:
        raise SetupError("%s took more than %s s\n%s" % (command[0], timeout, remedy))
    if done.returncode != 0:
        said = (done.stdout or b"").decode("utf8", "replace").strip()
        raise SetupError(
            "%s failed (exit %d)\n%s\n%s"
            % (" ".join(command[:4]), done.returncode, said[-3000:], remedy)
        )
    return (done.stdout or b"").decode("utf8", "replace")


def digest(*parts):
    """Hash of files' contents (paths below the root) and of strings, which start with '='."""
    sum_ = hashlib.sha256()
    for part in parts:
        if part.startswith("="):
            sum_.update(part.encode())
        else:
            with open(os.path.join(ROOT, part), "rb") as file:
                sum_.update(file.read())
        sum_.update(b"\0")
    return sum_.hexdigest()[:24]


class Stamps:
    """What each finished step was made from; a step that is under way is not in the file."""

    def __init__(self):
        self.values = {}
        self.changed = False
        try:
            with open(STAMPS) as file:
                self.values = json.load(file)
        except (OSError, ValueError):
            pass

    def fresh(self, step, key):
        return self.values.get(step) == key

    def start(self, step):
        if self.values.pop(step, None) is not None:
            self.write()

    def finish(self, step, key):
        self.changed = True
        self.values[step] = key
        self.write()

    def write(self):
        if not os.path.isdir(VENV):
            return
        temporary = STAMPS + ".new"
        with open(temporary, "w") as file:
            json.dump(self.values, file, indent=1, sort_keys=True)
        os.replace(temporary, STAMPS)


def has_venv_modules(python):
    return (
        subprocess.call(
            [python, "-c", "import venv, ensurepip"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        == 0
    )


def check_platform():
    if sys.platform.startswith("win"):
        raise SetupError("Windows is not supported: use WSL (Windows Subsystem for Linux)")
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise SetupError(
            "this is Python %s at %s.\n"
            "The project needs 3.11 or 3.12 (ape supports no newer one): install one and run\n"
            "    make setup PYTHON=python3.12" % (platform.python_version(), sys.executable)
        )


def step_venv(stamps):
    """A virtual environment with a working pip, of the Python that runs this."""
    inside = os.path.realpath(sys.prefix) == os.path.realpath(VENV)
    key = "python %d.%d in %s" % (sys.version_info[0], sys.version_info[1], ROOT)
    if stamps.fresh("venv", key) and os.access(VENV_PYTHON, os.X_OK):
        return
    base = getattr(sys, "_base_executable", None) or sys.executable
    if not has_venv_modules(base):
        raise SetupError(
            "%s cannot create virtual environments (venv or ensurepip is missing).\n"
            "On Debian and Ubuntu: apt install python3-venv; or name another: make setup PYTHON=..."
            % base
        )
    stamps.values.clear()
    say("creating .venv with Python %s" % platform.python_version())
    if os.path.isdir(VENV) and not inside:
        shutil.rmtree(VENV)
    run(
        [base, "-m", "venv"] + (["--clear"] if inside else []) + [VENV],
        "The environment could not be created; is the disk full, or the folder read-only?",
    )
    stamps.values["python begun"] = False
    stamps.finish("venv", key)


def locked(name, lock):
    """The lines of one package, with its hashes, from a hashed requirements file."""
    with open(os.path.join(ROOT, lock)) as file:
        found = re.search(r"(?m)^%s==.*(?:\n +.*)*" % re.escape(name), file.read())
    if not found:
        raise SetupError("%s is not in %s" % (name, lock))
    return found.group(0) + "\n"


OFFLINE = (
    "If the package index cannot be reached: check the network and any proxy (HTTPS_PROXY,\n"
    "PIP_INDEX_URL, PIP_CERT), then run `make setup` again; it goes on where it stopped."
)


def pip_install(arguments):
    """Install with uv, which is several times faster; where it fails, with pip."""
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1")
    uv = os.path.join(BIN, "uv")
    if os.environ.get("BACKSTOP_INSTALLER", "uv") == "uv":
        try:
            if not os.access(uv, os.X_OK):
                with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
                    file.write(locked("uv", "requirements.lock"))
                    file.flush()
                    run(
                        [
                            VENV_PYTHON,
                            "-m",
                            "pip",
                            "install",
                            "-q",
                            "--require-hashes",
                            "-r",
                            file.name,
                        ],
                        "",
                        env=environment,
                    )
            run(
                [uv, "pip", "install", "-q", "--python", VENV_PYTHON] + arguments,
                "",
                env=environment,
            )
            return
        except SetupError as error:
            say("uv did not manage, using pip: %s" % str(error).strip().splitlines()[-1])
    run([VENV_PYTHON, "-m", "pip", "install", "-q"] + arguments, OFFLINE, env=environment)


def step_python(stamps):
    key = digest("requirements.lock")
    if stamps.fresh("python", key):
        return
    stamps.start("python")
    say("installing the locked Python packages")
    arguments = ["--require-hashes", "-r", "requirements.lock"]
    # a package whose installation was cut off looks installed: install all of them again
    if not stamps.fresh("python begun", False):
        arguments.insert(0, "--force-reinstall")
    stamps.finish("python begun", True)
    pip_install(arguments)
    stamps.values["python begun"] = False
    stamps.finish("python", key)


def site_packages():
    return os.path.join(VENV, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")


def step_project(stamps):
    """The package itself, editable: `import backstop` works from any folder."""
    key = digest("pyproject.toml", "=" + SITE_HOOK, "=" + ROOT)
    if stamps.fresh("project", key):
        return
    stamps.start("project")
    pip_install(["--no-deps", "--no-build-isolation", "-e", "."])
    with open(os.path.join(site_packages(), "backstop_environment.pth"), "w") as file:
        file.write(SITE_HOOK)
    stamps.finish("project", key)


def find_node():
    """A node that is new enough and has npm beside it on the PATH, as (node, npm), or None."""
    path = os.pathsep.join([BIN, os.environ.get("PATH", os.defpath)])
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not node or not npm:
        return None
    try:
        version = subprocess.run(
            [node, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"v(\d+)\.", version.decode("utf8", "replace"))
    return (node, npm) if found and int(found.group(1)) >= OLDEST_NODE else None


def step_node(stamps):
    """The system's Node, or the one from the Python package index; its paths are remembered."""
    paths = stamps.values.get("node")
    if isinstance(paths, list) and all(os.access(path, os.X_OK) for path in paths):
        return paths
    stamps.start("node")
    found = find_node()
    if found is None:
        say(
            "no Node %d or newer with npm here: installing one into .venv (a large download)"
            % OLDEST_NODE
        )
        pip_install(["--require-hashes", "-r", "requirements-node.lock"])
        found = find_node()
    if found is None:
        raise SetupError(
            "Node from the package index does not run here.\n"
            "Install Node %d or newer with npm and run `make setup` again." % OLDEST_NODE
        )
    stamps.finish("node", list(found))
    return list(found)


def npm_environment(node):
    path = os.pathsep.join([os.path.dirname(node), BIN, os.environ.get("PATH", os.defpath)])
    return dict(os.environ, PATH=path)


def step_npm(stamps, node, npm):
    key = digest("package.json", "package-lock.json", "=" + platform.platform())
    wanted = [
        os.path.join(NODE_MODULES, *name.split("/")) for name in ("solc", "@openzeppelin/contracts")
    ]
    if stamps.fresh("npm", key) and all(os.path.isdir(folder) for folder in wanted):
        return
    stamps.start("npm")
    say("installing the locked npm packages")
    run(
        [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"],
        "If the npm registry cannot be reached: check the network and a proxy (npm config list).\n"
        "Then run `make setup` again. If package.json and package-lock.json differ: make lock.",
        env=npm_environment(node),
    )
    stamps.finish("npm", key)


def foundry_platform():
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    return "%s-%s" % (system, machine) if system and machine else None


def outside_path(tool):
    """The tool's place on the PATH outside of the environment."""
    folders = [
        p
        for p in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if os.path.realpath(p) != os.path.realpath(BIN)
    ]
    return shutil.which(tool, path=os.pathsep.join(folders))


def version_of(binary):
    try:
        said = subprocess.run(
            [binary, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = said.stdout.decode("utf8", "replace").strip().splitlines()
    return lines[0] if said.returncode == 0 and lines else None


def step_foundry(stamps, node, npm):
    """Link the binaries of the platform packages; npm's start scripts for them hide exit codes."""
    with open(os.path.join(ROOT, "package.json")) as file:
        pins = json.load(file)["optionalDependencies"]
    key = digest(
        "=" + str(stamps.values.get("npm")), "=" + json.dumps(pins, sort_keys=True), "=" + ROOT
    )
    if stamps.fresh("foundry", key) and os.path.exists(os.path.join(BIN, "anvil")):
        return
    stamps.start("foundry")
    place = foundry_platform()
    version = sorted(pins.values())[-1]
    for tool, needed in (("anvil", True), ("forge", False)):
        link = os.path.join(BIN, tool)
        package = "@foundry-rs/%s-%s" % (tool, place)
        binary = os.path.join(NODE_MODULES, *(package.split("/") + ["bin", tool]))
        if not os.path.exists(binary) and place:
            # a platform that the lock does not cover: the same version, by the registry's own hash
            with contextlib.suppress(SetupError):
                run(
                    [
                        npm,
                        "install",
                        "--no-save",
                        "--no-package-lock",
                        "--loglevel=error",
                        "%s@%s" % (package, version),
                    ],
                    "",
                    env=npm_environment(node),
                )
        if not os.path.exists(binary):
            binary = outside_path(tool) or ""
        said = version_of(binary) if binary else None
        if os.path.lexists(link):
            os.remove(link)
        if said:
            os.symlink(binary, link)
            if version not in said:
                say(
                    "using %s from %s (%s); the project is tested with %s"
                    % (tool, binary, said, version)
                )
        elif needed:
            raise SetupError(
                "no %s %s that runs on %s.\n"
                "Install Foundry %s, check that `%s --version` works, and run `make setup` again."
                % (tool, version, platform.platform(), version, tool)
            )
        else:
            say("no %s for this platform: `make lint` leaves the Solidity format check out" % tool)
    stamps.finish("foundry", key)


# ape compiles a copy of the contracts in a temporary folder that has no node_modules, unless the
# working copy is in a temporary folder itself. With an include path the library has the same names,
# and so the contracts the same bytecode, in both.
SOLC_SCRIPT = """#!/bin/sh
case " $*" in
  *" --base-path"*) set -- "$@" --include-path {library} ;;
esac
{environment}exec {command} "$@"
"""


def step_solc(stamps, node):
    """The pinned compiler where py-solc-x looks for it: native if it can be had, else from npm."""
    with open(os.path.join(ROOT, "package.json")) as file:
        version = json.load(file)["dependencies"]["solc"]
    target = os.path.join(SOLC_FOLDER, "solc-v" + version)
    key = digest(
        "=" + version,
        "=" + node,
        "=" + ROOT,
        "=" + SOLC_SCRIPT,
        "=" + str(stamps.values.get("npm")),
    )
    if stamps.fresh("solc", key) and os.access(target, os.X_OK):
        return
    stamps.start("solc")
    shutil.rmtree(SOLC_FOLDER, ignore_errors=True)
    native_folder = os.path.join(SOLC_FOLDER, "native")
    os.makedirs(native_folder)
    native = os.path.join(native_folder, "solc-v" + version)
    if os.environ.get("BACKSTOP_SOLC", "") != "npm":
        environment = dict(os.environ, SOLCX_BINARY_PATH=native_folder)
        with contextlib.suppress(SetupError):
            run(
                [VENV_PYTHON, "-c", NATIVE_SOLC, version],
                "",
                env=environment,
                timeout=NATIVE_SOLC_PATIENCE,
            )
    if version_of(native) is not None:
        command, environment = quote(native), ""
    else:
        say(
            "the native solc %s cannot be downloaded here: using the same version from npm"
            % version
        )
        full = run(
            [node, "-p", "require('solc').version()"],
            "Remove node_modules and run `make setup` again.",
        ).strip()
        command = "%s %s" % (quote(node), quote(os.path.join(ROOT, "tools", "solc.js")))
        environment = "BACKSTOP_SOLC_VERSION=%s " % quote(full)
    with open(target + ".new", "w") as file:
        file.write(
            SOLC_SCRIPT.format(
                library=quote(NODE_MODULES), environment=environment, command=command
            )
        )
    os.chmod(target + ".new", 0o755)
    os.replace(target + ".new", target)
    said = subprocess.run([target, "--version"], stdout=subprocess.PIPE).stdout.decode(
        "utf8", "replace"
    )
    if version not in said:
        raise SetupError("%s does not answer with version %s" % (target, version))
    # whatever was compiled before, was compiled with something else
    shutil.rmtree(os.path.join(ROOT, ".build"), ignore_errors=True)
    stamps.finish("solc", key)


@contextlib.contextmanager
def only_one():
    """Two `make` in the same folder take turns instead of disturbing each other."""
    import fcntl

    with open(os.path.abspath(__file__)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another set-up is running in this folder: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main():
    started = time.time()
    try:
        check_platform()
        with only_one():
            stamps = Stamps()
            step_venv(stamps)
            step_python(stamps)
            step_project(stamps)
            node, npm = step_node(stamps)
            step_npm(stamps, node, npm)
            step_foundry(stamps, node, npm)
            step_solc(stamps, node)
        if stamps.changed:
            say("ready after %.0f s" % (time.time() - started))
    except SetupError as error:
        print("\nsetup: " + str(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again, it goes on where it stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
