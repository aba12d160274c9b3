"""What the host runs or obeys later, by name and whatever folder it lies in; each group with the reason.

Existing things of a guarded group are mounted read-only over themselves: tools rarely write them. The others
(``package.json``, ``Makefile``) are what a tool may well be asked to write: a change of one is told.
Letters' case does not matter, for a forgiving file system finds them either way.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Group:
    """Names that one kind of program runs or obeys.

    :param why: what happens with them, to be read after a name; :param guard: existing ones are read-only.
    """

    why: str
    names: frozenset[str]
    guard: bool = True


def _group(why: str, names: str, *, guard: bool = True) -> Group:
    return Group(why, frozenset(name.lower() for name in names.split()), guard)


CACHES = frozenset({"__pycache__", ".ipynb_checkpoints"})
"""Folders beside a person's own files, one in each folder. Whoever can move the folder around one away can as
well rewrite those files, so the folders above these are left as they are."""

GROUPS = (
    _group(
        "version control runs hooks and commands named there",
        ".git .hg .svn .bzr .jj _darcs .fslckout _fossil_ .gitmodules .gitattributes .hgsub .repo",
    ),
    _group(
        "programs are started from there",
        """.venv venv .tox .nox .direnv .pixi .conda .devenv .nix-profile node_modules .yarn .pnp.cjs .pnp.loader.mjs
        renv packrat""",
    ),
    _group("Python runs the compiled modules there", "__pycache__"),
    _group("Jupyter restores notebooks from there", ".ipynb_checkpoints"),
    _group(
        "an editor or agent runs tasks and tools named there",
        """.vscode .idea .fleet .zed .devcontainer devcontainer.json .devcontainer.json .claude claude.md .mcp.json
        .cursor .cursorrules .cursorignore .windsurf .windsurfrules .codex agents.md .gemini gemini.md .aider.conf.yml
        .continue .roo .kiro .dir-locals.el .dir-locals-2.el .exrc .vimrc .nvimrc .nvim.lua .lvimrc .vim .gdbinit
        .lldbinit .helix .vs .nvim .lazy.lua .neoconf.json .vimspector.json .latexmkrc latexmkrc .pylintrc pylintrc
        .flake8 mypy.ini .mypy.ini .clinerules .opencode opencode.json .amazonq .junie .qwen qwen.md .trae .agents""",
    ),
    _group(
        "hooks and workflows named there are run",
        """.husky .githooks .pre-commit-config.yaml .pre-commit-hooks.yaml lefthook.yml .lefthook.yml .lefthook
        .github .gitlab-ci.yml .circleci .travis.yml .drone.yml .woodpecker .woodpecker.yml azure-pipelines.yml
        bitbucket-pipelines.yml appveyor.yml cloudbuild.yaml jenkinsfile .lintstagedrc .lintstagedrc.json
        .lintstagedrc.yaml .dvc ansible.cfg""",
    ),
    _group(
        "a shell or an environment manager obeys it",
        """.envrc .env .env.local .flaskenv .mise.toml mise.toml .mise .mise.local.toml mise.local.toml
        .tool-versions .asdfrc
        .python-version .ruby-version .node-version .nvmrc .sdkmanrc .autoenv .autoenv.zsh .condarc .mambarc
        .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin
        .kshrc .inputrc .xprofile .xinitrc""",
    ),
    _group("matplotlib imports the module that it names", "matplotlibrc"),
    _group("programs load the plug-ins named there", "entry_points.txt", guard=False),
    _group(
        "Python or Jupyter runs it at its start",
        """sitecustomize.py usercustomize.py sitecustomize usercustomize ipython_config.py ipython_kernel_config.py
        sitecustomize.pyc usercustomize.pyc .ropeproject
        .streamlit .pdbrc .pythonrc .pythonrc.py .pythonstartup .jupyter .ipython .pypirc pip.conf
        jupyter_config.py jupyter_config.json .jupytext .jupytext.py .jupytext.toml .jupytext.yml .jupytext.yaml
        .jupytext.json jupytext.py jupytext.toml jupytext.yml jupytext.yaml jupytext.json""",
    ),
    _group(
        "R, Julia, Octave or another interpreter runs it at its start",
        """.rprofile .renviron .rprofile.site rprofile.site renviron.site .radian_profile startup.jl .juliarc.jl
        localpreferences.toml .octaverc startup.m matlabrc.m .irbrc .pryrc .sparkrc .ghci .sqliterc .psqlrc .duckdbrc
        .lintr .luacheckrc .gnuplot .maximarc .sage .pariinit finish.m profile.do autoexec.sas _targets.r""",
    ),
    _group("R restores it at its start and runs the .First in it", ".rdata", guard=False),
    _group("programs take the folder around it for an environment", "pyvenv.cfg conda-meta", guard=False),
    _group(
        "package managers run scripts or load code named there",
        """.npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .pnpmfile.mjs pnpmfile.cjs .bunfig.toml bunfig.toml .cargo
        .bundle .gemrc .bazelrc .buckconfig .mvn rust-toolchain rust-toolchain.toml""",
    ),
    _group("this package obeys it", "skills.toml skill-engine.toml .skill-engine.toml"),
    _group(
        "tests, builds and installations run it",
        """conftest.py setup.py setup.cfg pyproject.toml noxfile.py tox.ini pytest.ini .coveragerc .pytest.ini tasks.py
        fabfile.py dodo.py sconstruct wscript conda.yaml environment.yml environment.yaml pixi.toml package.json
        deno.json build.rs configure cmakelists.txt .justfile justfile makefile gnumakefile rakefile gruntfile.js
        gulpfile.js snakefile nextflow.config dvc.yaml taskfile.yml taskfile.yaml taskfile.dist.yml vite.config.js
        vite.config.ts webpack.config.js jest.config.js
        .eslintrc .eslintrc.json .eslintrc.yml .eslintrc.yaml .eslintrc.js eslint.config.js prettier.config.js
        .prettierrc .prettierrc.json .prettierrc.yaml .prettierrc.yml .babelrc .babelrc.json .stylelintrc
        .stylelintrc.json .rubocop.yml .ycm_extra_conf.py .clangd
        .prettierrc.js babel.config.js postcss.config.js rollup.config.js renv.lock procfile vagrantfile
        dockerfile compose.yaml compose.yml docker-compose.yml docker-compose.yaml flake.nix shell.nix default.nix
        project.toml manifest.toml juliaproject.toml juliamanifest.toml conf.py mkdocs.yml _quarto.yml _quarto.yaml
        _config.yml _bookdown.yml mlproject dbt_project.yml profiles.yml build.gradle build.gradle.kts settings.gradle
        settings.gradle.kts gradle.properties gradlew mvnw pom.xml build.sbt gemfile mix.exs cargo.toml go.mod go.work
        meson.build module.bazel build.bazel tiltfile docker-bake.hcl pipfile poetry.toml uv.toml hatch.toml
        requirements.txt manage.py alembic.ini airflow.cfg luigi.cfg dagster.yaml workspace.yaml prefect.yaml
        celeryconfig.py _extensions _metadata.yml nodemon.json turbo.json nx.json lerna.json tsconfig.json .swcrc
        .mocharc.json .mocharc.yml .mocharc.yaml .releaserc .releaserc.json .releaserc.yaml .czrc .rspec guardfile
        capfile thorfile dangerfile fastfile brewfile config.nims setup.hs directory.build.props directory.build.targets
        .pdm-python .formatter.exs .iex.exs .ocamlinit .erlang hie.yaml .bsp .gitpod.yml tox.toml devenv.nix
        .shadowenv.d __pypackages__ hydra_plugins pkg_add .lfsconfig .rproj.user lefthook.toml
        __main__.py cmakeuserpresets.json cmakepresets.json composer.json workspace earthfile pnpm-workspace.yaml
        .perldb .terraform terraform.rc .terraformrc .kedro.yml settings.py local_settings.py uwsgi.ini .isort.cfg""",
        guard=False,
    ),
)

_STARTED = Group("Python or Jupyter runs it at its start", frozenset())
_EDITOR = Group("an editor or agent runs tasks and tools named there", frozenset())
_BUILD = Group("tests, builds and installations run it", frozenset(), guard=False)
_SETTINGS = Group("programs run it as their settings", frozenset(), guard=False)
_PLUGINS = Group("Python takes the folder for an installed package with plug-ins", frozenset(), guard=False)

_CONFIGURED = re.compile(r"[a-z0-9_.-]+\.conf(ig)?\.[cm]?[jt]s|\.[a-z0-9_-]+rc\.[cm]?[jt]s")
"""Settings of tools of JavaScript, which are programs."""

_VARIANT = re.compile(r"(.+?)([.-](?:local|override))?(\.(?:toml|ya?ml|json5?|jsonc|py|[cm]?js|lua|exs))?")
"""A name, its word for a person's own or additional settings, and its ending."""

_CONFIGURED_PYTHON = ("_config.py", "_conf.py", ".conf.py", ".config.py")
"""Settings of tools of Python, which are programs: those of Jupyter's family, of servers, of documentation."""

IMPORTED = "Python imports it instead of the library of that name"

_SITE = (".pth", ".egg-link")
_NAMESPACES = frozenset(
    (
        "azure",
        "backports",
        "google",
        "jaraco",
        "mpl_toolkits",
        "opentelemetry",
        "ruamel",
        "sphinxcontrib",
        "zope",
    )
)
_INFO = (".dist-info", ".egg-info")
_PROJECT = (".code-workspace", ".sublime-project", ".rproj")
_RUN = (".tf",)
_SCRIPT = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts")
MODULE = (".py", ".pyc", ".so", ".pyd", ".pyw")

_INSTALLED = frozenset(
    """
    IPython ipykernel ipywidgets jupyter jupyter_client jupyter_core jupyter_server jupyterlab notebook
    nbformat nbconvert traitlets tornado zmq comm anywidget matplotlib matplotlib_inline numpy pandas scipy
    sklearn seaborn plotly bokeh altair polars pyarrow duckdb dask xarray statsmodels sympy networkx numba
    cython PIL cv2 skimage imageio torch torchvision tensorflow keras jax transformers datasets
    huggingface_hub openai anthropic requests urllib3 httpx aiohttp yaml jinja2 click tqdm rich pydantic
    sqlalchemy openpyxl boto3 botocore google pytest setuptools pip pkg_resources wheel packaging six dateutil
    pytz attr attrs dotenv docker skill_magic psutil certifi idna charset_normalizer decorator debugpy jedi
    parso pexpect ptyprocess prompt_toolkit pygments stack_data executing asttokens pure_eval wcwidth
    typing_extensions markupsafe bs4 lxml h5py tables fiona shapely geopandas
    """.split()  # noqa: SIM905
)
"""Libraries of data people, beside the standard library's modules."""


_TRIED = frozenset(
    """
    PySide2 PySide6 PyQt5 PyQt6 argcomplete brotli brotlicffi cchardet chardet dbus gi h2 java lz4 msgpack org orjson
    paramiko psycopg2 rapidjson simplejson snappy socks ujson uvloop vms_lib wx zstandard zstd
    """.split()  # noqa: SIM905
)
"""Modules that the standard library and common libraries try to import, and do without where there is none."""


@lru_cache(maxsize=1)
def shadowed() -> frozenset[str]:
    """The modules and packages that a file of the same name would be imported instead of: the standard library's,
    those of data people, and what is installed here."""
    found = {*sys.stdlib_module_names, *_INSTALLED, *_TRIED, *_NAMESPACES}
    here = os.path.realpath(os.curdir)
    for place in sys.path:
        if not place or os.path.realpath(place) == here:
            continue  # a person's own modules
        try:
            names = os.listdir(place)
        except OSError:
            continue
        found.update(name.partition(".")[0] for name in names if not name.endswith((".dist-info", ".pth")))
    return frozenset(name for name in found if name.isidentifier())


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Group]:
    return {name: group for group in GROUPS for name in group.names}


def group_of(name: str) -> Group | None:
    """The group of a name, ``None`` for ordinary ones."""
    name = name.lower()
    return _by_name().get(name) or _by_form(name)


def _by_form(name: str) -> Group | None:
    if name.endswith(_SITE):
        return _STARTED
    if name.startswith(("jupyter_", "ipython_")) and name.endswith(
        ("_config.py", "_config.json", "_config.d")
    ):
        return _STARTED
    if name.endswith(_PROJECT):
        return _EDITOR
    if name.endswith(_RUN):
        return _BUILD
    if name.endswith(_INFO):
        return _PLUGINS
    if name.endswith(_CONFIGURED_PYTHON):
        return _SETTINGS
    if (variant := _variant(name)) is not None:
        return variant
    return _BUILD if name.endswith(_SCRIPT) and _CONFIGURED.fullmatch(name) else None


def _variant(name: str) -> Group | None:
    """The group of a name in another form: ``lefthook-local.yml``, ``compose.override.yaml``, ``.pylintrc.toml``. It is
    told; a program that reads one form does not always read the other."""
    found = _VARIANT.fullmatch(name)
    if found is None:
        return None
    stem, other, ending = found[1], found[2], found[3] or ""
    known = _by_name().get(stem + ending) if other else None
    if known is None and stem.startswith("."):
        known = _by_stem().get(stem)
    return _variants().get(known.why) if known is not None else None


@lru_cache(maxsize=1)
def _by_stem() -> dict[str, Group]:
    """Names that begin with a dot, without the ending of a file of settings."""
    found: dict[str, Group] = {}
    for name, group in _by_name().items():
        parts = _VARIANT.fullmatch(name)
        if name.startswith(".") and parts is not None and len(parts[1]) > 1:
            found.setdefault(parts[1], group)
    return found


@lru_cache(maxsize=1)
def _variants() -> dict[str, Group]:
    return {group.why: Group(group.why, frozenset(), guard=False) for group in GROUPS}


def guarded(name: str) -> bool:
    """Whether something of that name is mounted read-only over itself where it exists."""
    group = group_of(name)
    return group is not None and group.guard


def why(name: str, parent: str = "", *, link: bool = False) -> str | None:
    """What this machine does later with a file or folder ``name``, ``None`` for an ordinary one.

    :param parent: the name of the folder that it is in. :param link: it is a link, perhaps to a package.
    """
    group = group_of(name)
    if group is not None:
        return group.why
    if name.endswith(MODULE):
        stem = name.partition(".")[0]
        if stem in shadowed() or (stem == "__init__" and parent in shadowed()):
            return IMPORTED
    if link and name in shadowed():
        return IMPORTED
    return None


def in_namespace(path: str) -> str | None:
    """Why a module matters that lies in a folder with the name of a namespace package: the folder beside a notebook
    comes before the installed ones, whatever else is in it."""
    *folders, name = path.split("/")
    return IMPORTED if name.endswith(MODULE) and not namespaces().isdisjoint(folders) else None


@lru_cache(maxsize=1)
def namespaces() -> frozenset[str]:
    """The namespace packages of data people, and those that are installed here."""
    found = set(_NAMESPACES)
    for place in sys.path:
        if os.path.basename(place) not in ("site-packages", "dist-packages"):
            continue
        try:
            with os.scandir(place) as entries:
                found.update(
                    entry.name
                    for entry in entries
                    if entry.name.isidentifier() and entry.is_dir()
                    if not os.path.exists(f"{entry.path}/__init__.py") and entry.name != "__pycache__"
                )
        except OSError:
            continue
    return frozenset(found)


def bare_repository(names: Iterable[str]) -> bool:
    """Whether git takes a folder with these names in it for a repository; ``commondir`` names another folder that has
    the rest."""
    lower = {name.lower() for name in names}
    return "head" in lower and ("commondir" in lower or {"objects", "refs"} <= lower)


MOST_HOOKS = 200
"""Entries of a folder of hooks that are looked at; git knows some thirty hooks."""

FIXED = frozenset(name for group in GROUPS for name in group.names)
"""Every name of a group, in small letters."""
