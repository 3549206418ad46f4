"""All folds of a protocol, also once for each of several seeds: ordinary runs, then a report on all test data."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lightsernet_tf.config import Config
from lightsernet_tf.config_identity import PLACES, differing_keys, with_whole_paths
from lightsernet_tf.config_parser import config_yaml, load_config
from lightsernet_tf.cross_validate.pooled_report import CrossValidation, pool
from lightsernet_tf.cross_validate.seeds import RepeatedSeeds, compare_seeds
from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.evaluate.run import evaluate_run
from lightsernet_tf.files import write_text
from lightsernet_tf.parallel.processes import Task, check_spreading, run_trainings, set_threads
from lightsernet_tf.runs.fold import same_fold
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.fold import train_or_resume

_SETTINGS = "config.yaml"
_ORPHAN_SECONDS = 5.0  # to wait for a process whose command was killed, which ends within one

_logger = logging.getLogger(__name__)


def cross_validate(
    config: Config,
    *,
    jobs: int = 1,
    threads: int | None = None,
    scheduler: str | None = None,
    seeds: Sequence[int] = (),
) -> CrossValidation | RepeatedSeeds:
    """Train and judge all folds, and pool the predictions for their test data.

    A finished fold is not trained again and a stopped one goes on, so the same call continues a killed one. However the
    folds are spread, with the same number of threads on the same kind of processor the figures are the same to the bit.

    Parameters
    ----------
    config
        The settings; ``split.fold`` is not used.
    jobs
        Folds trained at once, each in a process of its own.
    threads
        TensorFlow's in each process; none: this machine's cores shared among the jobs, or 1 on a cluster.
    scheduler
        Address of a Dask scheduler whose workers train the folds instead, in the same folders.
    seeds
        Train all folds once with each as ``train.seed``, in the folder ``seed_N``, and compare them; none: once.

    Returns
    -------
    CrossValidation or RepeatedSeeds
        The latter where there are seeds.

    Raises
    ------
    ConfigError
        If the protocol tests nobody, or folds cannot be spread as asked.
    RunError
        If the folder holds a cross-validation with other settings, or the corpus has changed since.
    """
    if not PROTOCOLS[config.split.protocol].tests_somebody:
        raise ConfigError(
            "split.protocol: expected one with test data to cross-validate. Received: "
            f"protocol={config.split.protocol!r}, which tests nobody; train it with python -m lightsernet_tf.train"
        )
    if len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**31 for seed in seeds):
        raise ConfigError(
            f"--seeds: expected numbers from 0 up to below 2**31, each once. Received: {', '.join(map(str, seeds))}"
        )
    check_spreading(jobs, threads, scheduler)
    if jobs > 1 and config.train.strategy == "mirrored":
        raise ConfigError(
            f"--jobs: expected 1 with train.strategy mirrored, where each training takes all devices. Received: {jobs}"
        )
    if jobs == 1 and scheduler is None and threads is not None:
        set_threads(threads)  # TensorFlow starts where features are computed
    experiment = prepare(config)
    path = Path(config.runs_dir).expanduser() / (config.run_name or cross_validation_name(config, seeds))
    with_seeds = {seed: replace(config, train=replace(config.train, seed=seed)) for seed in seeds}
    experiments = {path / f"seed_{seed}": experiment.under(one) for seed, one in with_seeds.items()}
    experiments = experiments or {path: experiment}
    _claim(path, {folder: one.config for folder, one in experiments.items()}, repeated=bool(seeds))
    tasks = {
        run_path.relative_to(path).as_posix(): _task(fold_config, run_path, one, jobs, scheduler)
        for folder, one in experiments.items()
        for run_path, fold_config in _unfinished(folder, one)
    }
    try:
        run_trainings(tasks, path, jobs=jobs, threads=threads, scheduler=scheduler)
    except KeyboardInterrupt:
        _logger.warning("stopped; the same command goes on, and trains no finished fold of %s again", path)
        raise
    done = [pool(folder, one) for folder, one in experiments.items()]
    return compare_seeds(path, experiment, dict(zip(seeds, done, strict=True))) if seeds else done[0]


def run_fold(config: Config, path: Path, experiment: Experiment | None = None, *, wait_seconds: float = 0.0) -> None:
    """Train one fold, or go on with it, and judge its chosen epoch; nothing where that is done.

    Parameters
    ----------
    config
        The settings, with the fold.
    path
        The run's folder.
    experiment
        ``prepare(config)`` where it is already there.
    wait_seconds
        How long to wait for another process that trains in the folder.
    """
    if path.is_dir():
        with Run(path).held(wait_seconds):
            pass  # the process that trained here until now may have made the folder a run, or finished it
    if (path / "run.json").exists() and fold_is_finished(Run.open(path)):
        _logger.info("%s is finished", path)
        return
    _logger.info("training %s", path)
    experiment = experiment or prepare(config)
    run = train_or_resume(config, experiment, path)
    evaluate_run(run, "best", experiment)


def fold_is_finished(run: Run) -> bool:
    """Return whether all epochs are trained and the chosen one is judged."""
    trained = len(run.history()) >= run.config.train.epochs
    return trained and (run.report_dir(run.resolve_epoch("best")) / "scores.json").exists()


def cross_validation_name(config: Config, seeds: Sequence[int] = ()) -> str:
    """Return a folder name that is the same for the same settings, so that the same call goes on."""
    names = [config.corpus.name, config.features.kind, config.train.loss, config.split.protocol]
    return "_".join([*names, "seeds"] if seeds else names)


def _unfinished(folder: Path, experiment: Experiment) -> list[tuple[Path, Config]]:
    config, unfinished = experiment.config, []
    for number, fold in enumerate(experiment.folds):
        run_path = folder / fold.name
        if (run_path / "run.json").exists():
            run = Run.open(run_path)
            same_fold(run, experiment)
            if fold_is_finished(run):
                _logger.info("%s is finished", run_path)
                continue
        unfinished.append((run_path, replace(config, split=replace(config.split, fold=number))))
    return unfinished


def _task(config: Config, run_path: Path, experiment: Experiment, jobs: int, scheduler: str | None) -> Task:
    if scheduler is not None:
        return partial(_run_fold_on_worker, with_whole_paths(config), run_path.absolute())
    here = experiment if jobs == 1 else None  # in another process it is read from the cache
    return partial(run_fold, config, run_path, here, wait_seconds=_ORPHAN_SECONDS)


def _run_fold_on_worker(config: Config, path: Path) -> None:
    if not (path.parent / _SETTINGS).exists():
        raise RunError(
            f"{path.parent}: expected the folder that the command made, on every machine that trains. "
            f"Received: no such folder on {socket.gethostname()}; runs_dir has to be one that they share"
        )
    # For a worker that was cut off from its scheduler, and trains the fold to its end.
    run_fold(config, path, wait_seconds=math.inf)


def _claim(path: Path, configs: Mapping[Path, Config], *, repeated: bool) -> None:
    """Write the settings of each cross-validation into its folder, unless something else is there."""
    of_one, of_seeds = path / _SETTINGS, sorted(path.glob(f"seed_*/{_SETTINGS}"))
    others = {
        "a run": (path / "run.json").exists(),
        "a search": (path / "search.yaml").exists(),
        "a cross-validation without --seeds": repeated and of_one.exists(),
        f"a cross-validation with --seeds ({', '.join(file.parent.name for file in of_seeds)})": of_seeds
        and not repeated,
    }
    for other, is_there in others.items():
        if is_there:
            raise RunError(
                f"{path}: expected the folder of this cross-validation, or none. Received: {other}; choose another "
                "--run_name"
            )
    for folder, config in configs.items():
        for settings in of_seeds or [of_one]:
            if settings.exists():
                _refuse_others(path, settings, config, any_seed=folder != settings.parent)
    for folder, config in configs.items():
        write_text(folder / _SETTINGS, config_yaml(replace(config, split=replace(config.split, fold=0))))


def _refuse_others(path: Path, settings: Path, config: Config, *, any_seed: bool) -> None:
    try:
        found = load_config(settings)
    except ConfigError as error:
        raise RunError(str(error)) from error
    ignored = (*PLACES, "split.fold", *(["train.seed"] if any_seed else []))
    for key, (other, ours) in differing_keys(found, config, ignore=ignored).items():
        raise RunError(
            f"{path}: expected no folder, or a cross-validation with {key}={ours!r}. Received: one with {other!r} "
            f"(in {settings}); choose another --run_name"
        )
