"""A checkpoint every epoch, and the full state from which a killed training goes on to the bit.

The order at the end of an epoch: weights, state, table. Each file is written beside its name and renamed, so a kill at
any moment leaves the last whole epoch; what the state does not know of yet is written again, the same.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lightsernet_tf.errors import RunError, one_line
from lightsernet_tf.files import write_bytes, written_beside
from lightsernet_tf.runs.run import HistoryRow, Run, choose_epoch


def keep_epoch(run: Run, network: keras.Model, rows: Sequence[HistoryRow]) -> None:
    """Make the last of some epochs part of a run, and remove the weights that are not to be kept.

    Parameters
    ----------
    run
        The run.
    network
        Compiled, as it is after that epoch.
    rows
        The figures of all epochs.
    """
    config = run.config.train
    save_weights(run.weights_path(len(rows)), network)
    save_state(run.state_path, network, network.optimizer, rows)
    run.write_history(rows)
    for dropped in set(run.kept_epochs()) - epochs_to_keep(rows, config.keep, config.choose_by):
        run.weights_path(dropped).unlink()


def epochs_to_keep(history: Sequence[HistoryRow], keep: str, choose_by: str) -> set[int]:
    """Return which epochs' weights stay: the chosen and the last one always, and whatever ``keep`` says."""
    epochs = [int(row["epoch"]) for row in history]
    always = {choose_epoch(history, choose_by), epochs[-1]}
    if keep == "all":
        return set(epochs)
    if keep == "best_and_last":
        return always
    step = int(keep.removeprefix("every "))
    return always | {epoch for epoch in epochs if epoch % step == 0}


def save_weights(path: Path, network: keras.Model) -> None:
    """Write the weights of a network, without the optimiser's variables, whole or not at all."""
    # A model that was never compiled, on the same layers: Keras would store the optimiser's variables too.
    weights_only = keras.Model(network.inputs, network.outputs, name="functional")
    with written_beside(path) as beside:
        # HDF5 crashes where the disk is full; a plain file, of more bytes than the weights, is an error instead.
        beside.write_bytes(bytes(5 * weights_only.count_params()))
        weights_only.save_weights(beside)


def save_state(path: Path, network: keras.Model, optimizer: keras.Optimizer, history: Sequence[HistoryRow]) -> None:
    """Write weights, moving statistics, the state of dropout and of the optimiser, and the history."""
    variables = map(keras.ops.convert_to_numpy, _variables(network, optimizer))
    arrays = {f"variable_{n:03d}": value for n, value in enumerate(variables)}
    # In memory first: an archive that a full disk cuts short cannot be closed without a second error.
    archive = io.BytesIO()
    np.savez(archive, history=np.array(json.dumps(list(history))), **arrays)
    write_bytes(path, archive.getvalue())


def load_state(path: Path, network: keras.Model, optimizer: keras.Optimizer) -> list[HistoryRow]:
    """Set the network and its built optimiser to a state and return the history until then.

    Raises
    ------
    RunError
        If the file is damaged or belongs to another network.
    """
    variables = _variables(network, optimizer)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as state:
            history = json.loads(str(state["history"]))
            if [row["epoch"] for row in history] != list(range(1, len(history) + 1)):
                raise ValueError("its history lacks epochs")
            values = [state[name] for name in sorted(state.files) if name != "history"]
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: expected the state of a training. Received: a damaged file ({error})") from error
    shapes = [tuple(value.shape) for value in values]
    expected = [tuple(variable.shape) for variable in variables]
    if shapes != expected:
        raise RunError(
            f"{path}: expected the state of this network, {len(expected)} variables. Received: {len(shapes)} variables"
            + (", of other shapes" if len(shapes) == len(expected) else "")
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return history


def load_weights(network: keras.Model, path: Path) -> None:
    """Set the network to the weights of an epoch.

    Raises
    ------
    RunError
        If the file is not there, damaged, or of another network.
    """
    if not path.is_file():
        raise RunError(f"{path}: expected a file of weights. Received: no such file")
    try:
        with warnings.catch_warnings():
            # Keras warns of, and passes over, what a file of another network lacks.
            warnings.simplefilter("error", UserWarning)
            network.load_weights(path)
    except (OSError, KeyError, ValueError, RuntimeError, UserWarning) as error:
        raise RunError(f"{path}: expected the weights of this network. Received: {one_line(error, 200)}") from error


def _variables(network: keras.Model, optimizer: keras.Optimizer) -> list[Any]:
    return [*network.variables, *optimizer.variables]
