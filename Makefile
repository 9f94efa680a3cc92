# Every target runs in .venv, which `make env` creates. Nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv/bin
LINTED := sara_ros scripts benchmarks docs test launch setup.py

# The environment holds a ROS of its own; one sourced in this shell would be mixed into it.
unexport PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport LD_LIBRARY_PATH ROS_DISTRO ROS_VERSION RMW_IMPLEMENTATION

.DEFAULT_GOAL := help
.PHONY: help env shell demo demo-real demo-swap bench-attention test test-faults test-cluster soak docs lint format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

env:  ## create or update .venv and build both packages
	@$(PYTHON) scripts/bootstrap.py

shell: env  ## a shell in which colcon and other tools find the environment
	@bash --rcfile scripts/env.sh -i

demo: env  ## a policy moves a simulated arm over ROS 2; report in out/demo
	@$(VENV)/sara-ros demo

demo-real: env  ## recordings of real sensors through the same nodes; report in out/demo-real
	@$(VENV)/sara-ros demo-real

demo-swap: env  ## models come and go while the arm moves; report in out/demo-swap
	@$(VENV)/sara-ros demo-swap

bench-attention: env  ## time the attention backends; result in out/bench
	@$(VENV)/python benchmarks/attention.py

test: env lint  ## lint, then the whole test suite
	@$(VENV)/pytest

test-faults: env  ## break everything on purpose, over ROS 2; report in out/faults
	@$(VENV)/pytest test/nodes/faults -m '' --timeout 300 --faults-report out/faults

test-cluster: env out/ray  ## replays on a Ray cluster of this machine; Ray goes into out/ray
	@PYTHONPATH=out/ray $(VENV)/pytest test/cli/test_replay.py -k cluster

out/ray:
	@rm -rf $@.part
	@$(VENV)/python -m pip install --quiet --target $@.part -c requirements/constraints.txt -r requirements/ray.txt
	@mv $@.part $@

soak: env  ## a policy moves the arm at 20 Hz for 30 minutes; figures in out/soak
	@$(VENV)/sara-ros soak --minutes 30

docs: env  ## build the documentation, warnings are errors; out/docs/index.html
	@$(VENV)/python -m sphinx -E -W --keep-going -q -b html docs out/docs

lint: env  ## ruff, format check and mypy
	@$(VENV)/ruff check $(LINTED)
	@$(VENV)/ruff format --check $(LINTED)
	@$(VENV)/mypy sara_ros scripts

format:  ## let ruff format and fix what it can
	@$(VENV)/ruff format $(LINTED)
	@$(VENV)/ruff check --fix $(LINTED)

clean:  ## remove what was built; the next target builds it again
	rm -rf .venv build install log out .mypy_cache .pytest_cache .ruff_cache .hypothesis
