#!/usr/bin/env bash
# The step of action.yml: runs `imm eval` with the inputs of the action, which come in variables,
# leaves all reports in one folder, and tells the workflow what came out. Its exit code is that of
# imm eval: 0, or 3 when a bound was missed, or that of a failure.
set -uo pipefail
cd_to=$(dirname -- "${BASH_SOURCE[0]}")/..
imm=$(CDPATH='' cd -- "$cd_to" && pwd -P)/imm

arguments=()
option() { # NAME VALUE: the option, where it has a value
  if [[ -n $2 ]]; then arguments+=("--$1=$2"); fi
}
each_line() { # NAME LINES: the option once for every line
  local line
  while IFS= read -r line || [[ -n $line ]]; do
    line=$(sed -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' <<<"$line")
    option "$1" "$line"
  done <<<"$2"
}

folder=${INPUT_FOLDER:?}
mkdir -p "$folder"
rm -f "$folder"/{result.json,junit.xml,summary.md,report.html}
if [[ -n ${INPUT_SAMPLES:-} ]]; then arguments+=("$INPUT_SAMPLES"); fi
option checkpoint "${INPUT_CHECKPOINT:-}"
option reference "${INPUT_REFERENCE:-}"
option metrics "${INPUT_METRICS:-}"
option baseline "${INPUT_BASELINE:-}"
each_line fail-if "${INPUT_FAIL_IF:-}"
each_line tolerance "${INPUT_TOLERANCE:-}"
while IFS= read -r line; do
  if [[ -n $line ]]; then arguments+=("$line"); fi
done <<<"${INPUT_ARGUMENTS:-}"

"$imm" eval ${arguments[@]+"${arguments[@]}"} --json --junit "$folder/junit.xml" \
  --markdown "$folder/summary.md" --html "$folder/report.html" >"$folder/result.json"
code=$?

{
  echo "folder=$folder"
  case $code in
    0) echo "passed=true" ;;
    3) echo "passed=false" ;;
  esac
  # The result is one line of JSON that begins with {"version":1,"values":{...},
  echo "values=$(sed -nE 's/^\{"version":1,"values":(\{[^{}]*\}).*/\1/p' "$folder/result.json")"
} >>"${GITHUB_OUTPUT:-/dev/null}"
exit "$code"
