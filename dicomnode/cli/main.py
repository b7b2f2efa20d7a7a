"""The way in: runs one command, and tells the shell by its exit status what kind of thing happened."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

import typer
from typer.exceptions import TyperException

from dicomnode.cli import (  # noqa: F401 - they add their commands
    attenuation_evaluation,
    backup,
    cluster,
    conformance,
    demo,
    denoising_evaluation,
    guard_evaluation,
    limits,
    mu_map_training,
    network,
    own_studies_evaluation,
    password,
    pipelines,
    reload,
    retraining_evaluation,
    search,
    service,
    simulation,
    studies,
    training,
)
from dicomnode.cli.app import command_line
from dicomnode.errors import ConfigurationError, InstanceRejected, StudyUnsuitable, TransientFault
from dicomnode.telemetry import configure_logging


class ExitStatus(IntEnum):
    """What the shell is told (the numbers of sysexits.h)."""

    OK = 0
    USAGE = 64
    UNSUITABLE_DATA = 65
    PEER_UNAVAILABLE = 69
    INTERNAL_ERROR = 70
    WRONG_CONFIGURATION = 78


def main() -> None:
    """Run the command line and end the process with the exit status of what happened."""
    configure_logging("warning", "auto")  # to stderr; what runs long sets it up once more, as it is configured
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough: `dicomnode check | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = ExitStatus.OK
    except Exception:  # noqa: BLE001 - the command line's outer wall: the shell is told 70, a developer the rest
        traceback.print_exc()
        status = ExitStatus.INTERNAL_ERROR
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command; errors become a sentence on stderr and an exit status."""
    try:
        command_line()(args=arguments, prog_name="dicomnode", standalone_mode=False)
        return ExitStatus.OK
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # the parser's own end of it
            raise BrokenPipeError from None
        raise
    except TyperException as error:
        error.show()  # type: ignore[attr-defined] # every error of the parser has it
        return ExitStatus.USAGE
    except typer.Exit as error:
        return ExitStatus.OK if error.exit_code == 0 else ExitStatus.INTERNAL_ERROR
    except (typer.Abort, KeyboardInterrupt):
        return ExitStatus.INTERNAL_ERROR
    except ConfigurationError as error:
        return _tell(error, ExitStatus.WRONG_CONFIGURATION)
    except (StudyUnsuitable, InstanceRejected) as error:
        return _tell(error, ExitStatus.UNSUITABLE_DATA)
    except TransientFault as error:
        return _tell(error, ExitStatus.PEER_UNAVAILABLE)


def _tell(error: Exception, status: ExitStatus) -> ExitStatus:
    print(error, file=sys.stderr)
    return status
