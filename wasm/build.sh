#!/bin/sh
# Builds the WebAssembly modules that are committed beside this script.
#
#   wasm/build.sh [MODULE...]     all modules when none is named: statistics kernels kernels-plain
#
# MODULE.wasm is the module; MODULE.sources.sha256 lists what it was built from, in the format of
# `sha256sum --check`. A test compares that list with the sources, so run this after every change.
# kernels and kernels-plain are the same crate, with and without relaxed SIMD.
#
# Needs a Rust toolchain for wasm32-unknown-unknown. rustup's is taken when it is there
# (`rustup target add wasm32-unknown-unknown`, and `rustup component add rust-src` for the kernels);
# else Debian's:
#   apt-get install rustc-web cargo-web rust-web-src lld-19
set -eu
cd "$(dirname "$0")"

target=wasm32-unknown-unknown
modules=${*:-statistics kernels kernels-plain}

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

# All threads share one memory, which the host makes: 4 GiB at most. Everything that is linked,
# the core library too, must have been compiled for threads.
# Loop strength reduction would replace the constant offsets of loads by additions, each with a check
# of bounds of its own.
threads="-C llvm-args=-disable-lsr -C target-feature=+atomics,+bulk-memory -C link-arg=--import-memory \
  -C link-arg=--shared-memory -C link-arg=--max-memory=4294967296 \
  -C link-arg=-zstack-size=65536 -C link-arg=--export=__stack_pointer \
  -C link-arg=--export=__heap_base"

for module in $modules; do
  crate=${module%-plain}
  flags="-C target-feature=+simd128 $remap"
  std=$build_std
  case $module in
    kernels) flags="$flags -C target-feature=+relaxed-simd $threads" ;;
    kernels-plain) flags="$flags $threads" ;;
  esac
  if [ "$crate" = kernels ]; then
    std=-Zbuild-std=core
    export RUSTC_BOOTSTRAP=1
  fi
  # shellcheck disable=SC2086  # an empty $std must vanish
  RUSTFLAGS="$flags" "$cargo" build --locked --release \
    --package "$crate" --target "$target" --target-dir "target/$module" $std
  cp "target/$module/$target/release/$crate.wasm" "$module.wasm.tmp"
  chmod 644 "$module.wasm.tmp"
  mv "$module.wasm.tmp" "$module.wasm"
  {
    echo Cargo.lock
    echo Cargo.toml
    echo build.sh
    find "$crate" -type f
  } | LC_ALL=C sort | xargs sha256sum >"$module.sources.sha256"
done
