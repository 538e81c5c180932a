"""The ways into a cloud: its own CA, clouds.yaml."""

import datetime
import ipaddress

import pytest

from rally_deploy.serverprovider.openstack.refusal import CloudRefusal
from tests.unit.serverprovider.openstack.memory_cloud import MemoryCloud


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate for 127.0.0.1, its own CA, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([address]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path / "cloud.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return path


@pytest.fixture
def cloud(certificate, request):
    secure = "tls" in request.node.name
    cloud = MemoryCloud(certificate if secure else None)
    yield cloud
    cloud.close()


def test_tls_with_its_own_ca_works_once_that_is_given(provided, certificate):
    assert provided(amount=1, https_cacert=str(certificate))[1].create_servers()


def test_tls_with_its_own_ca_in_the_users_home_works(provided, certificate, monkeypatch):
    monkeypatch.setenv("HOME", str(certificate.parent))
    assert provided(amount=1, https_cacert=f"~/{certificate.name}")[1].create_servers()


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_tls_with_a_ca_that_cannot_be_read_says_what_to_give(provided, tmp_path, text):
    path = tmp_path / "ca.pem"
    if text:
        path.write_text(text)
    with pytest.raises(CloudRefusal) as caught:
        provided(amount=1, https_cacert=str(path))[1].create_servers()
    assert "https_cacert" in caught.value.remedy


def test_tls_with_an_unknown_ca_says_what_to_give(provided):
    with pytest.raises(CloudRefusal, match="is not trusted") as caught:
        provided(amount=1)[1].create_servers()
    assert "https_cacert" in caught.value.remedy


def test_tls_unchecked_works_with_a_warning(provided, recorder):
    assert provided(amount=1, https_insecure=True)[1].create_servers()
    assert any("no certificate is checked" in event.title for event in recorder.events)


def test_cloud_of_clouds_yaml_is_used_and_its_password_masked(
    cloud, provided, tmp_path, monkeypatch, recorder
):
    path = tmp_path / "clouds.yaml"
    path.write_text(
        f"clouds: {{mine: {{region_name: one, auth: {{auth_url: '{cloud.root}/identity/v3',"
        " username: admin, password: sesame, project_name: p, user_domain_name: D,"
        " project_domain_name: D}}}")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    gone = dict.fromkeys(("user", "password", "tenant", "auth_url"))
    entity, provider = provided(amount=1, cloud="mine", **gone)
    assert provider.create_servers()
    assert entity.mask("it is sesame") == "it is ***"
