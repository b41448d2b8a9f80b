#!/bin/sh
# Builds the WebAssembly modules that are committed beside this script.
#
#   wasm/build.sh [CRATE...]     all crates when none is named
#
# CRATE.wasm is the module; CRATE.sources.sha256 lists what it was built from, in the format of
# `sha256sum --check`. A test compares that list with the sources, so run this after every change.
#
# Needs a Rust toolchain for wasm32-unknown-unknown. rustup's is taken when it is there
# (`rustup target add wasm32-unknown-unknown`); else Debian's:
#   apt-get install rustc-web cargo-web rust-web-src lld-19
set -eu
cd "$(dirname "$0")"

target=wasm32-unknown-unknown
crates=${*:-statistics}

if rustup target list --installed 2>/dev/null | grep -qx "$target"; then
  cargo=cargo
  build_std=
elif [ -x /usr/bin/cargo ] && command -v wasm-ld-19 >/dev/null; then
  # Debian ships no compiled standard library for this target, only its sources.
  cargo=/usr/bin/cargo
  build_std=-Zbuild-std=std,panic_abort
  export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
else
  echo "build.sh: no Rust for $target; run 'rustup target add $target', or on Debian" \
    "'apt-get install rustc-web cargo-web rust-web-src lld-19'." >&2
  exit 1
fi

# No file name of the building machine in the result.
sources=$(${RUSTC:-rustc} --print sysroot)
remap="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo --remap-path-prefix=$sources=rust"

for crate in $crates; do
  features=+simd128
  # shellcheck disable=SC2086  # an empty $build_std must vanish
  RUSTFLAGS="-C target-feature=$features $remap" "$cargo" build --locked --release \
    --package "$crate" --target "$target" --target-dir "target/$crate" $build_std
  cp "target/$crate/$target/release/$crate.wasm" "$crate.wasm.tmp"
  chmod 644 "$crate.wasm.tmp"
  mv "$crate.wasm.tmp" "$crate.wasm"
  {
    echo Cargo.lock
    echo Cargo.toml
    echo build.sh
    find "$crate" -type f
  } | LC_ALL=C sort | xargs sha256sum >"$crate.sources.sha256"
done
