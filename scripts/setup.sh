# Sourced by the other scripts: goes to the project's root and installs the system packages that are missing.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

say() { echo "$@" >&2; }

# Installs the system packages that the program needs, and those named.
install_packages() {
  local wanted=(libopenblas-dev libdnnl-dev libreadline-dev zlib1g-dev libzmq3-dev libssl-dev "$@") missing=() package
  for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi

  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "Gradus needs the packages ${missing[*]}; install them as root:"
      say "  apt-get update && apt-get install ${missing[*]}"
      exit 1
    fi
    root=(sudo)
  fi
  if ! command -v apt-get >/dev/null; then
    say "Gradus needs OpenBLAS, oneDNN, readline, zlib, ZeroMQ and OpenSSL with their headers (on Debian: ${missing[*]}); there is no apt-get here."
    exit 1
  fi
  say "installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${root[@]}" apt-get update && "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    say "the packages ${missing[*]} could not be installed"
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
}

build_flags=(-c release)

# Builds the program, silently unless that fails.
build() {
  if ! command -v swift >/dev/null; then
    say "Gradus is built with Swift 6.1 or later: https://www.swift.org/install"
    exit 1
  fi
  if [ ! -d .build ]; then say "building; the first time takes a few minutes"; fi
  local log
  log=$(mktemp)
  if ! swift build "${build_flags[@]}" --product gradus >"$log" 2>&1; then
    grep -E 'error:' -A 6 "$log" >&2 || cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
  gradus="$PWD/$(swift build "${build_flags[@]}" --show-bin-path | sed "s|^$PWD/||")/gradus"
}
