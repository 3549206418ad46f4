"""The tuner: between Keras Tuner's oracle, which chooses settings, and the training of trials."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import grpc
import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.src import protos

from lightsernet_tf.errors import RunError
from lightsernet_tf.reporting.markdown import percent
from lightsernet_tf.tune.folder import Search
from lightsernet_tf.tune.oracles import OBJECTIVE, LastingOracle
from lightsernet_tf.tune.space import value_text
from lightsernet_tf.tune.trial import Trial
from lightsernet_tf.tune.trial_training import TrialTrainer

_HEARTBEAT_SECONDS = 2.0
_CHIEF_GONE_SECONDS = 3600.0  # Keras Tuner's own patience
_logger = logging.getLogger(__name__)


class SearchStopped(keras_tuner.errors.FatalError):
    """An error that would stop every other trial too, such as a full disk, and therefore ends the search."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class SearchTuner(BaseTuner):
    """Trains what the oracle chooses, through the same function as ``train``.

    Parameters
    ----------
    oracle
        Chooses the settings of trials.
    search
        The settings that trials share, the space and the folder.
    trainer
        Trains the trials; None: this is the chief, which trains none.
    """

    def __init__(self, oracle: LastingOracle, search: Search, trainer: TrialTrainer | None) -> None:
        self._search, self._trainer, self._waiting = search, trainer, False
        self._heartbeat: _Heartbeat | None = None
        super().__init__(oracle=oracle, directory=str(search.path.parent), project_name=search.path.name)
        if self._is_worker():
            return
        if (search.path / "oracle.json").exists():
            oracle.reload()
        elif search.has_begun():
            raise RunError(
                f"{search.path / 'oracle.json'}: expected the state of the search, whose trials are there. "
                "Received: no such file"
            )

    def run_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> dict[str, float]:
        """Train a trial and return its objective.

        Raises
        ------
        keras_tuner.errors.FailedTrialError
            If it failed; its ``outcome.json`` holds the reason.
        """
        assert self._trainer is not None
        planned = self._planned(trial.trial_id, trial.hyperparameters.values)
        values = ", ".join(f"{key} {value_text(value)}" for key, value in planned.values.items())
        _logger.info("trial %s: %s", planned.name, values)
        try:
            with self._heartbeat.of(planned.name) if self._heartbeat else nullcontext():
                ended = self._trainer.train(planned)
        except Exception as error:  # Keras Tuner would blame the trial for any error, and go on to the next
            raise SearchStopped(error) from error
        if ended.objective is None:
            _logger.warning("trial %s failed: %s", ended.name, ended.reason)
            raise keras_tuner.errors.FailedTrialError(ended.reason)
        _logger.info("trial %s: validation UA %s", ended.name, percent(ended.objective))
        return {OBJECTIVE: ended.objective}

    def _planned(self, name: str, chosen: Mapping[str, Any]) -> Trial:
        settings, values = self._search.settings, self._search.space.values_of(chosen)
        epochs = int(chosen.get("tuner/epochs") or values.get("train.epochs", settings.train.epochs))
        continues = chosen.get("tuner/trial_id") or None
        return Trial(name, "running", values, epochs, continues=continues, num_folds=settings.search.folds)

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Train trials until the oracle has no more; as a worker, with a heartbeat to the chief."""
        if not self._is_worker():
            super().search(*fit_args, **fit_kwargs)
            return
        self._heartbeat = _Heartbeat(self.oracle.stub)
        self.oracle.stub = _PatientStub(self.oracle.stub)
        try:
            super().search(*fit_args, **fit_kwargs)
        finally:
            self._heartbeat.ended.set()

    def pre_create_trial(self) -> None:
        """Wait a second if the last request returned no trial."""
        if self._waiting:
            time.sleep(1)
        self._waiting = True

    def on_trial_begin(self, trial: Any) -> None:
        """Note that the last request returned a trial."""
        self._waiting = False

    def save(self) -> None:
        """Do nothing: the oracle writes its state, and the tuner has none of its own."""

    def reload(self) -> None:
        """Do nothing; see `save`."""


class _PatientStub:
    """The chief's methods, retried while the chief is unreachable; calling them twice changes nothing."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._stub, name)

        def call_until_answered(request: Any, **options: Any) -> Any:
            until = time.monotonic() + _CHIEF_GONE_SECONDS
            while True:
                try:
                    return call(request, **options)
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                        raise
                    time.sleep(1)

        return call_until_answered


class _Heartbeat:
    """Requests the trial of a worker from the chief every few seconds, which shows that the worker is alive."""

    def __init__(self, stub: Any) -> None:
        self._stub, self._trial, self.ended = stub, "", threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    @contextmanager
    def of(self, trial: str) -> Iterator[None]:
        """Send heartbeats for a trial while it is trained."""
        self._trial = trial
        try:
            yield
        finally:
            self._trial = ""

    def _beat(self) -> None:
        answers = True
        while not self.ended.wait(_HEARTBEAT_SECONDS):
            try:
                if self._trial:
                    self._stub.GetTrial(protos.get_service().GetTrialRequest(trial_id=self._trial), timeout=5)
                else:  # between trials: only whether the chief is there
                    self._stub.GetSpace(protos.get_service().GetSpaceRequest(), timeout=5)
                if not answers:
                    _logger.info("the chief answers again")
                answers = True
            except grpc.RpcError:
                if answers:
                    _logger.warning("the chief does not answer; waiting for it, at most an hour")
                answers = False
