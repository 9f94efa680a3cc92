"""Entry point of the ``sara-ros`` command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import errno
from pathlib import Path
import shlex
import sys
from typing import Final

from sara_ros import __version__
from sara_ros.core import ParameterError, SaraError

MACHINE_SAYS_NO: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What to change is the folder or the disk, not the program."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C."""
    options = _parser().parse_args(arguments)
    options.typed = shlex.join(['sara-ros', *(sys.argv[1:] if arguments is None else arguments)])
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except SaraError as err:
        print(f'sara-ros {options.name}: {err}', file=sys.stderr)
        return 1
    except OSError as err:
        if err.errno not in MACHINE_SAYS_NO:
            raise
        print(f'sara-ros {options.name}: {err}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'sara-ros {options.name}: stopped', file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='sara-ros', description='Serve transformer robot policies over ROS 2.'
    )
    parser.add_argument('--version', action='version', version=f'sara_ros {__version__}')
    commands = parser.add_subparsers(dest='name', required=True, metavar='COMMAND')

    _add_demos(commands)
    _add_soak(commands)
    models = _add(commands, 'models', _models, 'list and verify models')
    _models_dir(models)

    _add_train(commands)
    _add_uptrain(commands)
    _add_analyze(commands)
    _add_telemetry(commands)
    _add_doctor(commands)

    dataset = _add(commands, 'dataset', _dataset, 'make a LeRobot v2.1 data set of bags')
    _add_dataset(dataset)

    replay = _add(commands, 'replay', _replay, 'open-loop actions of models on recordings')
    _add_replay(replay)
    _models_dir(replay)

    collect = _add(commands, 'collect', _collect, 'frames of the scripted expert; resumes')
    dagger = _add(commands, 'dagger', _dagger, 'a model drives, the expert labels; resumes')
    evaluate = _add(commands, 'evaluate', _evaluate, 'closed-loop success on held-out seeds')
    _add_tabletop(collect, dagger, evaluate)
    _models_dir(dagger)
    _models_dir(evaluate)
    return parser


def _add_demos(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = _add(commands, 'demo', _demo, 'policies move a simulated arm over ROS 2')
    demo.add_argument('--out', type=Path, default=Path('out/demo'), help='folder of the report')
    demo.add_argument('--gif', type=Path, help='also write the video as a GIF')
    demo.add_argument(
        '--bag', action='store_true', help='also record session.mcap there, for replay'
    )

    real = _add(commands, 'demo-real', _demo_real, 'recordings of real sensors through the nodes')
    real.add_argument(
        '--out', type=Path, default=Path('out/demo-real'), help='folder of the report'
    )
    real.add_argument(
        '--data', type=Path, default=Path('../shared/data'), help='folder of the recordings'
    )

    swap = _add(
        commands, 'demo-swap', _demo_swap, 'models come and go while the simulated arm moves'
    )
    swap.add_argument(
        '--out', type=Path, default=Path('out/demo-swap'), help='folder of the report'
    )


def _add_soak(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    soak = _add(commands, 'soak', _soak, 'a policy moves the simulated arm for many minutes')
    soak.add_argument('--minutes', type=float, default=30.0, help='how long')
    soak.add_argument('--model', default='rt2-tabletop', help='folder below the models')
    soak.add_argument('--out', type=Path, default=Path('out/soak'), help='folder of report.json')
    soak.add_argument('--export', action='store_true', help='write CSV and MCAP meanwhile')


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    train = _add(commands, 'train', _train, 'train a model by its recipe; resumes when stopped')
    train.add_argument(
        'recipe', help='rt2-tabletop, pct-tabletop, rt2-g1, or a variant (rt2-tabletop-history)'
    )
    train.add_argument('--model-id', default='', help='another name for the model')
    train.add_argument('--work', type=Path, help='folder of frames and state; out/train/MODEL')
    train.add_argument('--steps', type=int, default=0, help="0: the recipe's")
    train.add_argument('--threads', type=int, default=2, help='CPU threads')
    train.add_argument(
        '--seed', type=int, help="of weights, batches and scenes; tabletop: 0 to 3; the recipe's"
    )
    train.add_argument(
        '--data', type=Path, nargs='+', default=[], metavar='PATH',
        help='LeRobot folder, or bags, for rt2-g1',
    )  # fmt: skip
    _add_bag_options(train)
    _models_dir(train)


def _add_uptrain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = 'convert a model to another attention backend and train it back; resumes when stopped'
    uptrain = _add(commands, 'uptrain', _uptrain, about)
    uptrain.add_argument('model', help='the softmax model, a folder below the models')
    uptrain.add_argument('--backend', required=True, help='the new one; softmax for the control')
    uptrain.add_argument(
        '--option', action='append', default=[], metavar='KEY=VALUE', help='option of the backend'
    )
    uptrain.add_argument('--layers', default='', help='layers to convert, such as 0,2; empty: all')
    uptrain.add_argument('--transfer-steps', type=int, default=200, help='0: no transfer')
    uptrain.add_argument('--finetune-steps', type=int, default=600, help='0: no fine-tuning')
    uptrain.add_argument('--batch', type=int, default=32, help='frames a step')
    uptrain.add_argument('--lr', type=float, default=3e-4, help='learning rate of fine-tuning')
    uptrain.add_argument('--seed', type=int, default=0, help='of new weights and batches')
    uptrain.add_argument('--lora', type=int, default=0, metavar='RANK', help='0: all weights')
    uptrain.add_argument(
        '--name', dest='new_name', default='', help='the new model; MODEL-BACKEND'
    )
    uptrain.add_argument('--work', type=Path, help='folder of frames and state; out/train/MODEL')
    uptrain.add_argument('--frames', type=int, default=0, help='most of each collection; 0: all')
    uptrain.add_argument('--held-out', type=int, default=1000, help='frames to measure on')
    uptrain.add_argument('--data', type=Path, help='LeRobot folder, for rt2-g1')
    uptrain.add_argument('--threads', type=int, default=2, help='CPU threads of each process')
    uptrain.add_argument(
        '--device', choices=('cpu', 'cuda'), default='cpu', help='cuda trains in bf16'
    )
    uptrain.epilog = (
        'More than one GPU or machine: torchrun --nproc-per-node=2 -m sara_ros.cli.main uptrain '
        'MODEL --backend BACKEND --device cuda. The processes share each batch.'
    )
    _models_dir(uptrain)


def _add_analyze(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = 'check the theory of the attention backends; report in out/analysis'
    analyze = _add(commands, 'analyze', _analyze, about)
    analyze.add_argument(
        '--out', type=Path, default=Path('out/analysis'), help='folder of the report'
    )
    analyze.add_argument('--seconds', type=float, default=20.0, help='time for timing backends')
    analyze.add_argument(
        '--observations', type=int, default=8, help='simulated observations each model acts on'
    )
    analyze.add_argument('--threads', type=int, default=2, help='CPU threads')
    _models_dir(analyze)


def _add_telemetry(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    top = _add(commands, 'top', _top, 'a live view of the running graph; plain lines in a pipe')
    top.add_argument('--policy', default='policy', help='name of the policy node')
    top.add_argument('--manager', default='model_manager', help='name of its model manager')
    top.add_argument('--seconds', type=float, default=0.0, help='end after so long; 0: never')
    top.add_argument('--period', type=float, default=0.0, help='seconds between updates; 0: usual')

    report = _add(commands, 'report', _report, 'render an exported session as a page with plots')
    report.add_argument('session', type=Path, help='its folder, one above it, or one of its files')
    report.add_argument('--out', type=Path, help='the page; report.html beside the files')


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = 'check ROS, libraries, GPU, models and topics; says what to do about each'
    doctor = _add(commands, 'doctor', _doctor, about)
    doctor.add_argument('--model', default='rt2-tabletop', help='whose topics are looked for')
    doctor.add_argument('--namespace', default='', help='of the policy node and the sensors')
    doctor.add_argument(
        '--topic', action='append', default=[], metavar='NAME=TOPIC', help='of an observation'
    )
    doctor.add_argument('--seconds', type=float, default=3.0, help='how long to listen')
    doctor.add_argument(
        '--no-graph', dest='graph', action='store_false', help='leave nodes and topics out'
    )
    doctor.add_argument('--json', type=Path, help='write the findings to this file')
    _models_dir(doctor)


def _add_replay(parser: argparse.ArgumentParser) -> None:
    from sara_ros.cli.replay_options import add_options

    add_options(parser)


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    from sara_ros.cli.dataset_options import add_options

    add_options(parser)


def _add_bag_options(parser: argparse.ArgumentParser) -> None:
    from sara_ros.cli.dataset_options import add_bag_options

    add_bag_options(parser)


def _add_tabletop(*parsers: argparse.ArgumentParser) -> None:
    from sara_ros.cli.tabletop_options import add_collect, add_dagger, add_evaluate

    for parser, add_options in zip(parsers, (add_collect, add_dagger, add_evaluate), strict=True):
        add_options(parser)


def _models_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--models', type=Path, help='folder of the models; empty: of the package')


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    description: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=description, description=description)
    parser.set_defaults(command=command)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from sara_ros.cli.demo import run_demo

    page = run_demo(options.out, bag=options.bag)
    print(f'report: {page}')
    if options.gif is not None:
        from sara_ros.cli.stage import VIDEO_FILE
        from sara_ros.evaluation.gif import write_gif

        write_gif(page.with_name(VIDEO_FILE), options.gif)
    return 0


def _demo_real(options: argparse.Namespace) -> int:
    from sara_ros.cli.demo_real import run_demo_real

    print(f'report: {run_demo_real(options.out, options.data)}')
    return 0


def _demo_swap(options: argparse.Namespace) -> int:
    from sara_ros.cli.demo_swap import run_demo_swap

    print(f'report: {run_demo_swap(options.out)}')
    return 0


def _soak(options: argparse.Namespace) -> int:
    from sara_ros.cli.soak import REPORT_FILE, run_soak

    run_soak(options.out, options.minutes, model=options.model, export=options.export)
    print(f'report: {options.out / REPORT_FILE}')
    return 0


def _models(options: argparse.Namespace) -> int:
    from sara_ros.cli.models import show_models

    return 0 if show_models(_models_of(options)) else 1


def _train(options: argparse.Namespace) -> int:
    from sara_ros.cli.dataset import options_of
    from sara_ros.cli.train import train

    folder = train(
        options.recipe,
        model_id=options.model_id,
        models_dir=_models_of(options),
        work=options.work,
        steps=options.steps,
        threads=options.threads,
        seed=options.seed,
        data=options.data,
        bags=options_of(options),
        typed=options.typed,
    )
    print(f'model: {folder}')
    return 0


def _uptrain(options: argparse.Namespace) -> int:
    from sara_ros.cli.uptrain import uptrain_model
    from sara_ros.training.disk import DiskError

    try:
        uptrain_model(options, _models_of(options), options.typed)
    except DiskError:
        raise  # a full disk is no wrong usage
    except ParameterError as err:
        print(f'sara-ros uptrain: {err}', file=sys.stderr)
        return 2
    return 0


def _replay(options: argparse.Namespace) -> int:
    from sara_ros.cli.replay import run_replay

    return run_replay(options, _models_of(options), options.typed)


def _dataset(options: argparse.Namespace) -> int:
    from sara_ros.cli.dataset import run_dataset

    print(f'data set: {run_dataset(options)}')
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from sara_ros.cli.evaluate import run_evaluate

    run_evaluate(options, _models_of(options), options.typed)
    return 0


def _collect(options: argparse.Namespace) -> int:
    from sara_ros.cli.collect import run_collect

    print(f'frames: {run_collect(options)}')
    return 0


def _dagger(options: argparse.Namespace) -> int:
    from sara_ros.cli.dagger import run_dagger

    print(f'frames: {run_dagger(options, _models_of(options))}')
    return 0


def _analyze(options: argparse.Namespace) -> int:
    from sara_ros.cli.analyze import analyze

    held = analyze(
        options.out,
        _models_of(options),
        seconds=options.seconds,
        observations=options.observations,
        threads=options.threads,
    )
    return 0 if held else 1


def _top(options: argparse.Namespace) -> int:
    from sara_ros.cli.top import show_graph

    show_graph(options.policy, options.manager, seconds=options.seconds, period_sec=options.period)
    return 0


def _report(options: argparse.Namespace) -> int:
    from sara_ros.cli.report import render_session

    print(f'report: {render_session(options.session, options.out)}')
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from sara_ros.cli.doctor import run_doctor

    return run_doctor(options, _models_of(options))


def _models_of(options: argparse.Namespace) -> Path:
    from sara_ros.core.resources import package_folder

    return options.models or package_folder('models')


if __name__ == '__main__':
    raise SystemExit(main())
