"""A real Slurm on this machine for as long as a test needs it: munge, slurmctld and slurmd, without systemd."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers import free_port

PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "squeue", "scontrol")
# One node in two partitions, and a card that an empty file plays. Who takes more memory than was asked for is ended
# within a second: Slurm looks every second, for cgroups are not to be had everywhere.
CONFIGURATION = """\
ClusterName=casebook
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=600
KillWait=2
ReturnToService=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
GresTypes=gpu
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 Port={worker} CPUs=4 RealMemory=16000 Gres=gpu:1
PartitionName=cpu Nodes=node Default=YES MaxTime=04:00:00
PartitionName=gpu Nodes=node MaxTime=1-00:00:00
"""


@dataclass(frozen=True)
class Cluster:
    """A Slurm of one node, everything that it writes in one folder."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment of who works with it; its `srun` lies in the folder, see `slurm_in`."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{self.folder}:{PATH}"}

    def ask(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, check=True)
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """Return what `scontrol show job` says of every job, ended ones too."""
        shown = self.ask("scontrol", "show", "job", "--oneliner").splitlines()
        return [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown if line.startswith("JobId=")]

    def start(self, name: str, *options: str) -> None:
        """Start a daemon."""
        program = shutil.which(name, path=PATH)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [program or name, *options], env=self.variables, stdout=log, stderr=subprocess.STDOUT
            )

    def stop(self, name: str) -> None:
        """Stop a daemon, and wait until it has stopped."""
        process = self.daemons.pop(name)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:  # slurmd waits for what it runs
            process.kill()
            process.wait()


def wait_until(there: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@contextmanager
def slurm_in(folder: Path) -> Iterator[Cluster]:
    """Run a Slurm until the end of the block; skip the test where there is none."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if missing:
        pytest.skip(f"no Slurm: {', '.join(missing)} not found; `make test-packages` installs it (Debian, as root)")
    if os.geteuid():
        pytest.skip("only root can start a Slurm")
    cluster = Cluster(folder)
    host = socket.gethostname().partition(".")[0]
    ports = {"controller": free_port(), "worker": free_port()}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, **ports))
    (folder / "gres.conf").write_text(f"NodeName=node Name=gpu File={folder}/card\n")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # else slurmd asks systemd
    (folder / "card").touch()
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    # The executor hides SLURM_CONF from the srun that it calls: on a cluster the configuration lies where Slurm looks.
    srun = folder / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=PATH)} "$@"\n')
    srun.chmod(0o755)
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    try:
        cluster.start("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files)
        wait_until((folder / "munge.socket").exists)
        cluster.start("slurmctld", "-D")
        cluster.start("slurmd", "-D", "-N", "node")
        wait_until(lambda: "idle" in subprocess.getoutput(f"SLURM_CONF={folder}/slurm.conf sinfo --noheader -o %T"))
        yield cluster
    finally:
        if "slurmctld" in cluster.daemons:
            subprocess.run(["scancel", "--user=root"], env=cluster.variables, check=False)
        for name in reversed(list(cluster.daemons)):
            cluster.stop(name)
