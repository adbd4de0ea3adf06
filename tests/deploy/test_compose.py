"""What stands in deploy/: images of a fixed version, and no secret with a value."""

import re

import pytest
import yaml

from tests.deploy.conftest import DEPLOY

COMPOSE = (DEPLOY / "compose.yaml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
SECRET = re.compile(r"PASSWORD|SECRET|KEY")


def test_every_image_is_pinned_or_built_from_one_that_is() -> None:
    pulled = [service["image"] for service in SERVICES.values() if "build" not in service]
    pulled += re.findall(r"^FROM (\S+:\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert len(pulled) == 3
    assert [image for image in pulled if not re.search(r":v?\d+\.\d+(\.\d+)?(-[\w.-]+)?$", image)] == []


def test_every_build_names_a_stage_of_the_dockerfile() -> None:
    stages = set(re.findall(r"AS (\w+)", (DEPLOY / "Dockerfile").read_text()))
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"tracking", "scoring"} <= stages


def test_every_setting_is_explained_in_the_example_and_no_secret_has_a_value() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert used - {"MLFLOW_ARTIFACTS_DESTINATION"} == set(EXAMPLE)
    assert [name for name, value in EXAMPLE.items() if SECRET.search(name) and value] == []


@pytest.mark.parametrize("service", [name for name, service in SERVICES.items() if "profiles" not in service])
def test_a_service_refuses_to_start_without_its_secrets(service: str) -> None:
    values = SERVICES[service].get("environment", {}).items()
    assert [name for name, value in values if SECRET.search(name) and not re.search(r"^\$\{\w+:\?", str(value))] == []


def test_ports_are_open_to_this_machine_alone_until_asked_otherwise() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("${LISTEN:-127.0.0.1}:") for port in ports)
    assert EXAMPLE["LISTEN"] == "127.0.0.1"


def test_volumes_of_services_are_declared() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    declared = set(yaml.safe_load(COMPOSE)["volumes"])
    assert {mount for mount in mounts if not mount.startswith(".")} == declared
    assert all((DEPLOY / mount).is_file() for mount in mounts if mount.startswith("."))
