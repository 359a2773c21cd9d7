#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent: the programs a user starts, stops and asks: budget, kill switch and
status of wick-agent.
Usage: agent.py BUILD_DIR"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import Skip, case, measured, run  # pylint: disable=wrong-import-position

BUILD = os.path.abspath(sys.argv[1])
PATIENCE_S = 60
RATE_HZ = 100
LOWEST_BUDGET = "0.1"  # percent of a core
RING_SECONDS = 12  # more than the ring has room for at 1000 Hz


def until(what, condition):
    """The first true value of condition(), which is asked again and again."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        os.sched_yield()
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


class Agent:
    """An agent in a folder of its own."""

    def __init__(self, folder, *arguments, server="http://127.0.0.1:1"):
        self.stop_file = os.path.join(folder, "wick", "stop")
        self.socket = os.path.join(folder, "agent.sock")
        self.log = open(os.path.join(folder, "log"), "a+", encoding="utf-8")
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "wick-agent"), "--server", server, "--window", "1"]
            + ["--stop-file", self.stop_file, "--socket", self.socket, "--spool", "none", *arguments],
            stderr=self.log,
        )

    def ask(self, *arguments):
        return subprocess.run(
            [os.path.join(BUILD, "wick"), "agent", "status", "--socket", self.socket, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    def status(self):
        """None: it does not answer yet."""
        assert self.process.poll() is None, self.said()
        answer = self.ask("--json")
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def is_sampling(self):
        status = self.status()
        return status if status and status["sampling"]["state"] == "on" else None

    def is_stopped(self):
        status = self.status()
        return status if status and status["sampling"]["state"] == "stopped" else None

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def holds_samplers(self):
        """Counters and programs that are open in the kernel."""
        folder = f"/proc/{self.process.pid}/fd"
        links = [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]
        return [link for link in links if "perf_event" in link or "bpf" in link]

    def end(self):
        self.process.terminate()
        status = self.process.wait(timeout=PATIENCE_S)
        text = self.said()
        self.log.close()
        return status, text


@contextlib.contextmanager
def agent(*arguments, folder=None, **settings):
    with tempfile.TemporaryDirectory(prefix="wick-agent-") as own:
        a = Agent(folder or own, *arguments, **settings)
        try:
            yield a
        finally:
            if a.process.poll() is None:
                a.process.kill()
                a.process.wait()


@contextlib.contextmanager
def server(data=None, listen="127.0.0.1:0"):
    with tempfile.TemporaryDirectory(prefix="wick-server-") as own:
        reader, writer = os.pipe()
        process = subprocess.Popen(
            [os.path.join(BUILD, "wick-server"), "--data", data or own, "--listen", listen, "--ready-fd", str(writer)],
            pass_fds=[writer],
        )
        os.close(writer)
        with open(reader, encoding="ascii") as ready:
            url = ready.readline().strip()
        try:
            yield url
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)


@contextlib.contextmanager
def busy():
    """A program that uses one CPU as much as it gets."""
    process = subprocess.Popen([os.path.join(BUILD, "examples", "example-fp"), "600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def get(url, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}{path}?{query}", timeout=PATIENCE_S) as answer:
        return json.load(answer)


def cpu_ns(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def needs_root():
    if os.getuid() != 0:
        raise Skip("sampling all processes needs root")


@case
def status_says_what_is_sampled_and_what_it_costs():
    with agent() as a, busy():
        status = until("samples", lambda: (s := a.is_sampling()) and s["samples"]["taken"] > RATE_HZ and s)
        assert status["pid"] == a.process.pid
        assert status["sampling"]["rate_hz"] == RATE_HZ and status["budget"]["cpu_percent"] == 1
        assert status["cost_since_start"]["cpu_percent"] > 0
        assert 1 << 20 < status["memory"]["resident_bytes"] <= status["memory"]["peak_bytes"]
        text = a.ask().stdout
        for word in ("sampling", "CPU", "memory", "samples", "tables", "upload"):
            assert f"\n{word}" in text, text
        coverage = until("coverage", lambda: json.loads(a.ask("--unwind", "--json").stdout)["binaries"])
        mine = [row for row in coverage if row["path"].endswith("/example-fp")]
        assert mine and sum(mine[0]["found"].values()) == mine[0]["frames"], coverage
        assert "example-fp" in a.ask("--unwind").stdout
        status, _ = a.end()
        assert status == 0


@case
def a_question_to_nobody_says_so():
    with tempfile.TemporaryDirectory(prefix="wick-agent-") as folder:
        answer = subprocess.run(
            [os.path.join(BUILD, "wick"), "agent", "status", "--socket", os.path.join(folder, "none")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 1 and "no agent listens there" in answer.stderr, answer


@case
def a_second_agent_leaves_the_first_ones_socket_alone():
    with tempfile.TemporaryDirectory(prefix="wick-agent-") as folder, agent(folder=folder) as first:
        until("the first", first.is_sampling)
        with agent(folder=folder) as second:
            until("the warning", lambda: "no status" in second.said())
            assert first.status()["pid"] == first.process.pid
            second.end()
        assert first.status()["pid"] == first.process.pid


@case
def a_stop_file_stops_it_and_leaves_nothing_in_the_kernel():
    with agent() as a, busy():
        until("sampling", a.is_sampling)
        assert a.holds_samplers()
        began = time.monotonic()
        os.makedirs(os.path.dirname(a.stop_file), exist_ok=True)
        with open(a.stop_file, "w", encoding="ascii"):
            pass
        stopped = until("the stop", a.is_stopped)
        print(f"# stopped after {time.monotonic() - began:.2f} s")
        assert stopped["sampling"]["stopped_by"] == a.stop_file
        assert not a.holds_samplers(), a.holds_samplers()
        assert "stopped by" in a.ask().stdout
        taken = stopped["samples"]["taken"]
        os.unlink(a.stop_file)
        until("sampling again", lambda: (s := a.is_sampling()) and s["samples"]["taken"] > taken)
        status, text = a.end()
        assert status == 0 and f"sampling stopped by={a.stop_file}" in text, text


@case
def a_signal_stops_it_and_the_stop_survives_a_restart():
    with tempfile.TemporaryDirectory(prefix="wick-agent-") as folder:
        with agent(folder=folder) as a:
            until("sampling", a.is_sampling)
            began = time.monotonic()
            a.process.send_signal(signal.SIGUSR1)
            until("the stop", a.is_stopped)
            print(f"# stopped after {time.monotonic() - began:.2f} s")
            assert os.path.exists(a.stop_file)
            assert a.end()[0] == 0
        with agent(folder=folder) as a:
            until("the stop", a.is_stopped)
            assert not a.holds_samplers()
            assert "not sampling: " in a.said()
            a.process.send_signal(signal.SIGUSR2)
            until("sampling", a.is_sampling)
            assert not os.path.exists(a.stop_file)
            assert a.end()[0] == 0


@case
def a_stop_that_cannot_be_kept_holds_for_this_agent():
    with tempfile.TemporaryDirectory(prefix="wick-agent-") as folder:
        no_folder = os.path.join(folder, "none", "at", "all", "stop")
        with agent("--stop-file", no_folder, folder=folder) as a:
            until("sampling", a.is_sampling)
            a.process.send_signal(signal.SIGUSR1)
            until("the stop", a.is_stopped)
            assert "the stop ends with this agent" in a.said()
            a.process.send_signal(signal.SIGUSR2)
            until("sampling", a.is_sampling)


@case
@measured
def over_its_budget_it_samples_less_and_the_shares_stay_right():
    needs_root()
    with server() as url, agent("--cpu-budget", LOWEST_BUDGET, "--rate", "1000", server=url) as a, busy() as program:
        before = until("sampling", a.is_sampling) and cpu_ns(program.pid)
        status = until("a lower rate", lambda: (s := a.is_sampling()) and s["sampling"]["rate_hz"] < 500 and s)
        assert "more CPU time than the budget allows" in status["sampling"]["last_change"] or (
            "emergency" in status["sampling"]["last_change"]
        ), status["sampling"]
        used = cpu_ns(program.pid) - before
        ended, text = a.end()
        assert ended == 0 and "budget: " in text, text
        services = get(url, "/api/v1/services")["services"]
        seen = {service["name"]: service["total"].get("cpu:nanoseconds", 0) for service in services}
        print(f"# {used / 1e9:.2f} s of CPU, {seen['example-fp'] / 1e9:.2f} s in the profiles, {status['sampling']}")
        assert 0.8 < seen["example-fp"] / used < 1.25, (seen, used)
        assert any("agent_cpu:nanoseconds" in service["types"] for service in services), services


@case
def what_the_ring_had_no_room_for_is_counted():
    needs_root()
    with server() as url, busy() as program, agent("--rate", "1000", "--cpu-budget", "50", server=url) as a:
        until("sampling", a.is_sampling)
        before = cpu_ns(program.pid)
        a.process.send_signal(signal.SIGSTOP)  # it is ours: as if it got no CPU
        until("a full ring", lambda: cpu_ns(program.pid) - before > RING_SECONDS * 1e9)
        a.process.send_signal(signal.SIGCONT)
        lost = until("the loss", lambda: a.status()["samples"]["ring_full"])
        used = cpu_ns(program.pid) - before
        assert a.end()[0] == 0
        seen = {service["name"]: service["total"] for service in get(url, "/api/v1/services")["services"]}
        missing = used - seen["example-fp"]["cpu:nanoseconds"]
        print(f"# {lost} samples lost, {missing / 1e9:.2f} s of {used / 1e9:.2f} s missing")
        assert missing < lost * 1e6 * 1.2 + 0.1 * used, (missing, lost, used)
        lost_there = get(url, "/api/v1/tree", service="example-fp")["quality"]["lost"]["ring_full"]
        assert lost_there == lost, (lost_there, lost)


def samples_of(log):
    """What the whole run took, by its last line of cost."""
    return int(re.findall(r" samples=(\d+) lost=0$", log, re.M)[-1])


def spooled(a):
    status = a.status()
    return status["upload"]["spool"] if status else None


@case
def what_a_server_that_is_away_misses_it_gets_later_and_once():
    needs_root()
    with tempfile.TemporaryDirectory(prefix="wick-spool-") as folder, busy():
        data, spool = os.path.join(folder, "data"), ("--spool", os.path.join(folder, "spool"))
        with server(data) as url:
            address = url.removeprefix("http://")
        with agent(*spool, server=url) as a:
            before = until("a spool", lambda: (s := spooled(a)) and s["files"] > 5 and s)
            assert before["dropped"] == 0 and before["bytes"] > 0
            assert "\nspool      " in a.ask().stdout
            ended, text = a.end()
            assert ended == 0 and "kept for the next run: spooled=" in text, text
            taken = samples_of(text)
        with agent(*spool, server=url) as a:
            until("more of it", lambda: (s := spooled(a)) and s["written"] > 2)
            assert "spool left by an earlier run files=" in a.said()
            with server(data, address):
                until("an empty spool", lambda: spooled(a)["files"] == 0)
                status = a.status()
                assert status["upload"]["protocol"] == "otlp" and status["upload"]["dropped"] == 0
                ended, text = a.end()
                assert ended == 0, text
                taken += samples_of(text)
                quality = get(url, "/api/v1/tree", type="cpu:nanoseconds")["quality"]
        print(f"# {taken} samples, {before}")
        assert quality["samples"] == taken and quality["lost_total"] == 0, (quality, taken)


@case
def a_spool_that_cannot_be_used_does_not_keep_it_from_sampling():
    with agent("--spool", "/proc/self/wick/spool") as a:
        until("sampling", a.is_sampling)
        assert "no spool: /proc/self/wick/spool cannot be made" in a.said()
        assert "spool" not in a.status()["upload"] and "\nspool      none" in a.ask().stdout


@case
def wrong_settings_are_refused_by_name():
    wrong = {
        "--cpu-budget": ["0", "101", "a", "nan"],
        "--memory-budget": ["-1", "x"],
        "--kernel-budget": ["1q"],
        "--unwind": ["lbr"],
        "--spool-limit": ["1k", "much"],
    }
    for option, values in wrong.items():
        for value in values:
            answer = subprocess.run(
                [os.path.join(BUILD, "wick-agent"), option, value], capture_output=True, text=True, check=False
            )
            assert answer.returncode == 2 and option in answer.stderr, (option, value, answer)


run()
