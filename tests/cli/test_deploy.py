"""docs/deploy/: each file is well formed, and names only what the program has."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from configparser import RawConfigParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from connector import config
from connector.webhooks import endpoint, health
from connector.webhooks.headlines import HeadlineFigures
from connector.webhooks.health import Health
from connector.webhooks.prometheus import ServerMetrics
from tests.support.documents import PAGES, links, parse, rows, section, started
from tests.support.folders import ROOT
from tests.support.loopback import serving
from tests.support.served import PORTS, ServingWorkdir, serve
from tests.support.simulator import SimulatedAccount
from tests.support.small_ledger import account, lay_out

YAML: Any = import_module("yaml")  # without types of its own
DEPLOY = ROOT / "docs" / "deploy"
FILES = {
    path.relative_to(DEPLOY).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DEPLOY.rglob("*"))
    if path.is_file()
}
UNITS = [name for name in FILES if name.startswith("systemd/")]
SERVICES = [name for name in UNITS if name.endswith(".service")]
PROXIES = ["nginx.conf", "Caddyfile"]
WITH_METRICS = ["alerts.yaml", "grafana-dashboard.json"]


def documents(name: str) -> list[Any]:
    return list(YAML.safe_load_all(FILES[name]))


def without_comments(name: str) -> str:
    return re.sub(r"^\s*#.*\n", "", FILES[name], flags=re.MULTILINE)


def found(value: Any, key: str) -> Iterator[Any]:
    """All that stands under ``key``, however deep."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from found(each, key)


def test_the_pages_lead_to_every_file() -> None:
    there = {link for page in PAGES for link in links(page)}
    assert {f"deploy/{name}" for name in FILES} <= there


@pytest.mark.parametrize("name", FILES)
def test_addresses_are_loopback_or_examples(name: str) -> None:
    """0.0.0.0 is a container's own: it is what its ports are published from."""
    addresses = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", FILES[name])
    assert set(addresses) <= {"127.0.0.1", "0.0.0.0"}  # noqa: S104
    hosts = re.findall(r"\b[\w-]+\.(?:com|io|org|net)\b", FILES[name])
    assert set(hosts) - {"kubernetes.io"} <= {"example.com"}


# --- commands ---


def to_start() -> Iterator[tuple[str, list[str]]]:
    for name in FILES:
        if name.endswith((".service", ".yaml")):
            for line in without_comments(name).splitlines():
                for words in started(line):
                    yield name, list(words)


STARTED = [*to_start(), ("Dockerfile", ["serve"])]


@pytest.mark.parametrize(("name", "words"), STARTED, ids=str)
def test_what_is_started_is_a_command(name: str, words: list[str]) -> None:
    assert any(command in name for command in words) or name == "Dockerfile"
    parse(words)


def test_every_service_and_container_starts_one() -> None:
    assert sorted(name for name, _ in STARTED) == [
        "Dockerfile",
        "kubernetes/serve.yaml",
        "kubernetes/sync.yaml",
        "systemd/stripe-nrr-serve.service",
        "systemd/stripe-nrr-sync.service",
    ]


@pytest.mark.parametrize("name", FILES)
def test_what_is_told_to_be_run_is_a_command(name: str) -> None:
    for text in re.findall(r"`stripe-nrr ([^`]+)`", FILES[name]):
        parse(text.split())


# --- the container ---


def instructions() -> list[tuple[str, str]]:
    text = without_comments("Dockerfile").replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def final_stage() -> dict[str, str]:
    """The last of each instruction, in the image that is run."""
    steps = instructions()
    last = max(at for at, (word, _) in enumerate(steps) if word == "FROM")
    return dict(steps[last:])


def test_the_image_runs_serve_as_a_user_of_its_own_on_its_volume() -> None:
    image = final_stage()
    assert image["USER"] == "10001:10001"
    assert image["VOLUME"] == image["WORKDIR"] == "/data"
    assert "--uid 10001 --gid 10001" in image["RUN"]
    assert "install -d -o 10001 -g 10001 -m 0700 /data" in image["RUN"]
    assert json.loads(image["ENTRYPOINT"]) == ["stripe-nrr"]
    assert json.loads(image["CMD"]) == ["serve"]
    assert image["EXPOSE"] == str(config.parse("", {}).bind.port)


def test_the_image_is_made_of_all_that_the_wheel_needs() -> None:
    copied = {
        source
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*wheel["packages"], *wheel["force-include"], "pyproject.toml"}
    assert copied == needed
    assert all((ROOT / each).exists() for each in copied)


def test_both_stages_have_the_same_python() -> None:
    images = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
    assert len(images) == 1
    assert images.pop().startswith("python:")


def asked_by_probes() -> list[str]:
    probe = re.search(r"CMD (\[.+\])", final_stage()["HEALTHCHECK"])
    assert probe is not None
    [deployed] = found(documents("kubernetes/serve.yaml"), "exec")
    assert deployed["command"] == json.loads(probe[1])
    return [str(each) for each in deployed["command"][2:]]


def test_the_health_checks_ask_the_admin_port() -> None:
    [program] = asked_by_probes()
    compile(program, "HEALTHCHECK", "exec")
    bind = config.parse("", {}).admin_bind
    assert health.PATHS[0] == "/healthz"
    assert f"'http://{bind.host}:{bind.port}/healthz'" in program


def exit_code(program: str) -> int:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_health_check_tells_a_server_that_runs_from_one_that_does_not(
    tmp_path: Path,
) -> None:
    [program] = asked_by_probes()
    made = lay_out(tmp_path)
    with serving(SimulatedAccount(account("Plain"))) as stripe:
        workdir = ServingWorkdir(made.folder, stripe.url)
        workdir.configure(f'timezone = "UTC"\n{PORTS}')
        assert workdir.run("sync", "-q").code == 0
        with serve(workdir) as server:
            here = program.replace("http://127.0.0.1:8481", server.admin)
            assert exit_code(here) == 0
            assert server.stop() == 0
            assert exit_code(here) == 1


# --- systemd ---


class UnitParser(RawConfigParser):
    """Keys keep their capitals, and some may stand there more than once."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit(name: str) -> RawConfigParser:
    parser = UnitParser(strict=False, delimiters=("=",))
    parser.read_string(FILES[name])
    return parser


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_write_its_own_folder_and_nothing_else(name: str) -> None:
    service = unit(name)["Service"]
    assert service["User"] not in ("", "root")
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["UMask"] == "0077"
    assert service["CapabilityBoundingSet"] == ""
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert "ReadWritePaths" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_handed_over_as_credentials(name: str) -> None:
    credentials = set(
        re.findall(r"^LoadCredential=([\w-]+):", FILES[name], re.MULTILINE)
    )
    named = set(re.findall(r"_FILE=%d/([\w-]+)", FILES[name]))
    assert named == credentials
    assert credentials == {"key"} | ({"webhook-secret"} if "serve" in name else set())


def test_the_services_are_confined_alike() -> None:
    first, second = (FILES[name].partition("\nUser=")[2] for name in SERVICES)
    confined = second.partition("\n\n[Install]")[0].rstrip()
    assert first.partition("\n\n[Install]")[0].rstrip() == confined


def test_the_timer_starts_the_sync() -> None:
    timer = unit("systemd/stripe-nrr-sync.timer")
    assert timer["Install"]["WantedBy"] == "timers.target"
    sync = unit("systemd/stripe-nrr-sync.service")["Service"]
    assert (sync["Type"], sync["SuccessExitStatus"]) == ("oneshot", "75")


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze"
)
def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    """The program is not where it will be; anything that can be run stands in."""
    for name in UNITS:
        text = FILES[name].replace("/opt/stripe-nrr/bin/stripe-nrr", "/bin/true")
        (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    paths = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = [line for line in done.stderr.splitlines() if "stripe-nrr" in line]
    assert (done.returncode, told) == (0, [])


# --- Kubernetes ---


@pytest.mark.parametrize("name", ["kubernetes/sync.yaml", "kubernetes/serve.yaml"])
def test_a_pod_runs_as_the_images_user_on_a_read_only_root(name: str) -> None:
    read = documents(name)
    assert list(found(read, "runAsUser")) == list(found(read, "fsGroup")) == [10001]
    assert list(found(read, "runAsNonRoot")) == [True]
    assert list(found(read, "readOnlyRootFilesystem")) == [True]
    assert list(found(read, "allowPrivilegeEscalation")) == [False]
    [[container]] = found(read, "containers")
    [volumes] = found(read, "volumes")
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounted.keys() == {each["name"] for each in volumes}
    assert mounted["data"] == final_stage()["VOLUME"]
    for variable in container["env"]:
        assert variable["value"].startswith(f"{mounted['secret']}/")


def test_no_two_of_a_kind_write_at_once() -> None:
    *_, cron = documents("kubernetes/sync.yaml")
    assert cron["kind"] == "CronJob"
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    deployment, service = documents("kubernetes/serve.yaml")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"]
    assert labels == service["spec"]["selector"]


def test_the_pods_configuration_is_one() -> None:
    given, volume, _ = documents("kubernetes/sync.yaml")
    read = config.parse(given["data"]["config.toml"], {})
    assert read.database.is_relative_to(final_stage()["VOLUME"])
    [[container]] = found(documents("kubernetes/serve.yaml"), "containers")
    assert [each["containerPort"] for each in container["ports"]] == [read.bind.port]
    assert read.admin_bind == config.parse("", {}).admin_bind, "loopback"
    claims = found(
        documents("kubernetes/sync.yaml") + documents("kubernetes/serve.yaml"),
        "claimName",
    )
    assert set(claims) == {volume["metadata"]["name"]}


# --- the proxies ---


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_passes_on_the_one_path_to_the_one_port(name: str) -> None:
    text = without_comments(name)
    bind = config.parse("", {}).bind
    passed = re.findall(r"(?:proxy_pass http://|reverse_proxy )([^\s;]+)", text)
    assert passed == [f"{bind.host}:{bind.port}"]
    paths = re.findall(r"^\s*(?:location|handle)(?: =)? (/\S*)", text, re.MULTILINE)
    assert set(paths) - {"/"} == {endpoint.PATH}
    assert str(config.parse("", {}).admin_bind.port) not in FILES[name]
    assert "404" in text
    assert text.count("{") == text.count("}")


# --- metrics ---


def exposed() -> set[str]:
    """The names of all series that /metrics can tell."""
    metrics = ServerMetrics()
    metrics.count("customer.subscription.updated", "kept")
    metrics.timed(0.1)
    figures = HeadlineFigures("usd", 1, nrr=None, grr=None)
    told = metrics.exposition(Health(problems=()), [figures]).decode()
    names = re.findall(r"^# TYPE (\w+)", told, re.MULTILINE)
    return {*names, *re.findall(r"^(stripe_nrr_\w+)[ {]", told, re.MULTILINE)}


def expressions(name: str) -> list[str]:
    read = json.loads(FILES[name]) if name.endswith(".json") else documents(name)
    return list(found(read, "expr"))


@pytest.mark.parametrize("name", WITH_METRICS)
def test_every_metric_is_exposed(name: str) -> None:
    named = [re.findall(r"stripe_nrr_\w+", each) for each in expressions(name)]
    assert all(named)
    assert {metric for each in named for metric in each} <= exposed()


def test_the_dashboard_shows_every_metric() -> None:
    shown = " ".join(expressions("grafana-dashboard.json"))
    bare = {re.sub(r"_(sum|count|bucket)$", "", name) for name in exposed()}
    assert all(name in shown for name in bare)


def test_what_the_page_says_to_alert_on_is_a_rule() -> None:
    told = rows(section("docs/webhooks.md", "## What to alert on"))
    rules = expressions("alerts.yaml")
    for condition, _ in told:
        [written] = re.findall(r"`([^`]+)`", condition)
        assert any(rule.startswith(written) for rule in rules), written


def test_every_rule_says_what_to_do_and_how_urgent_it_is() -> None:
    [rules] = found(documents("alerts.yaml"), "rules")
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert len(rule["annotations"]["summary"]) > 20


def test_panels_have_their_own_ids_and_do_not_overlap() -> None:
    panels = json.loads(FILES["grafana-dashboard.json"])["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
