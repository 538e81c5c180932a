"""The vault: where its key comes from, and what happens without it."""

import os
import stat
import subprocess
import sys

import pytest

from rally_deploy.errors import SecretsError
from rally_deploy.vault import Vault

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY="


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path))
    monkeypatch.delenv("RDEPLOY_KEY", raising=False)
    return tmp_path


@pytest.mark.parametrize("text", ["", "secret", "ü\n\x00\N{ROCKET}", "x" * 1_000_000])
def test_decrypt_encrypted_text_gives_it_back(text):
    vault = Vault(KEY)
    sealed = vault.encrypt(text)
    assert vault.decrypt(sealed) == text
    assert not text or text not in sealed
    assert sealed != vault.encrypt(text)


def test_encrypt_without_a_key_makes_a_file_of_its_owner(home):
    sealed = Vault().encrypt("secret")
    path = home / "config" / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["key"]
    assert Vault().decrypt(sealed) == "secret"


def test_key_of_the_environment_goes_before_the_file(home, monkeypatch):
    monkeypatch.setenv("RDEPLOY_KEY", KEY + "\n")
    sealed = Vault().encrypt("secret")
    assert Vault(KEY).decrypt(sealed) == "secret"
    assert not (home / "config").exists()


def test_decrypt_with_another_key_says_which_and_what_to_do(monkeypatch):
    sealed = Vault(KEY).encrypt("secret")
    monkeypatch.setenv("RDEPLOY_KEY", OTHER)
    with pytest.raises(SecretsError, match="cannot be decrypted") as caught:
        Vault().decrypt(sealed)
    assert "RDEPLOY_KEY" in caught.value.details
    assert "restore the key" in caught.value.remedy


def test_decrypt_without_a_key_file_makes_none(home):
    sealed = Vault(KEY).encrypt("secret")
    with pytest.raises(SecretsError, match="cannot be read") as caught:
        Vault().decrypt(sealed)
    assert str(home / "config" / "key") in caught.value.details
    assert not (home / "config" / "key").exists()


@pytest.mark.parametrize("key", ["short", "ü" * 44, "=" * 44, "A" * 1000])
def test_bad_key_is_a_secrets_error_that_does_not_show_it(monkeypatch, key):
    monkeypatch.setenv("RDEPLOY_KEY", key)
    with pytest.raises(SecretsError, match="is not a key") as caught:
        Vault().encrypt("x")
    assert key not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"garbage\n"])
def test_bad_key_file_is_a_secrets_error_and_stays(home, content):
    path = home / "config" / "key"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SecretsError, match="is not a key"):
        Vault().encrypt("x")
    assert path.read_bytes() == content


def test_key_that_is_a_folder_is_a_secrets_error(home):
    (home / "config" / "key").mkdir(parents=True)
    with pytest.raises(SecretsError, match="cannot be read"):
        Vault().encrypt("x")


def test_import_and_construction_need_no_cryptography():
    code = (
        "import sys; from rally_deploy.vault import Vault; Vault(); "
        "print('cryptography' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_thirty_processes_at_once_agree_on_one_key(home):
    code = (
        "import sys; from rally_deploy.vault import Vault; v = Vault(); "
        "import cryptography.fernet; print('up', flush=True); sys.stdin.read(1); "
        "print(v.encrypt('secret'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
        for _ in range(30)
    ]
    for process in started:
        assert process.stdout.readline() == "up\n"
    sealed = []
    for process in started:
        process.stdin.write("x")
        process.stdin.close()
    for process in started:
        sealed.append(process.stdout.read().strip())
        process.stdout.close()
        assert process.wait(60) == 0
    assert {Vault().decrypt(text) for text in sealed} == {"secret"}
    assert os.listdir(home / "config") == ["key"]
