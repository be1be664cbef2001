PY := .venv/bin/python

# A sourced ROS 2 is used as it is, with the Python it was built for.
ifneq ($(and $(ROS_DISTRO),$(AMENT_PREFIX_PATH)),)
MODE := ros
PYTHON ?= /usr/bin/python3
PREFIXES := $(CURDIR)/.venv:$(AMENT_PREFIX_PATH)
else
MODE := wheels
PREFIXES := $(CURDIR)/.venv
demo demo-model test test-long: export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
# The wheels have Fast DDS alone, and set up their libraries only where this mark is absent.
unexport RMW_IMPLEMENTATION
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
endif
# The environment is an ament prefix, but does not announce itself as one.
demo demo-model test test-long: export AMENT_PREFIX_PATH := $(PREFIXES)
# Two processes share two cores: threads that spin for each other's turn would only take them away.
test: export OMP_NUM_THREADS := 1

REQUIREMENTS := requirements.txt requirements-dev.txt requirements-ros-wheels.txt packaging/constraints-ros.txt \
	packaging/set_up.py $(wildcard packaging/tf2_msgs/*.py packaging/tf2_msgs/*.toml packaging/tf2_msgs/idl/msg/*)
PROJECT := setup.py setup.cfg package.xml \
	$(shell find $(wildcard launch config) resource packaging/ros2_run -type f -not -name '*.pyc')

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-model test test-long lint clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: .venv/.project-$(MODE) ## .venv with everything; PYTHON=... chooses the Python

# The stamps are written last: an interrupted set-up is repeated.
.venv/.dependencies-$(MODE): $(REQUIREMENTS)
	@python=$$(sh packaging/find_python.sh $(PYTHON)) && "$$python" packaging/set_up.py dependencies
	@touch $@

.venv/.project-$(MODE): .venv/.dependencies-$(MODE) $(PROJECT)
	@$(PY) packaging/set_up.py project
	@touch $@

demo: setup ## scene, bag, live node, table and image; at most two minutes after set-up
	@$(PY) demo/run_demo.py

demo-model: setup ## make the demo's scene model again, under an hour on a CPU
	@$(PY) demo/make_model.py

test: setup ## the tests, at most ten minutes
	@$(PY) -m pytest test -m "not long" -n 2 --dist loadfile

test-long: setup ## the tests that take longer
	@$(PY) -m pytest test -m long

lint: setup ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

clean: ## remove what was built; .venv stays
	rm -rf build install log demo/out *.egg-info packaging/tf2_msgs/build packaging/tf2_msgs/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
