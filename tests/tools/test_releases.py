"""The table of versions is consistent."""

import pytest

from live_brokers.releases import DEFAULT_SERIES, HOST, RELEASES, Release


def test_each_release_is_found_by_its_series_oldest_first() -> None:
    assert [release.series for release in RELEASES.values()] == list(RELEASES)
    assert list(RELEASES) == sorted(RELEASES, key=lambda series: [int(number) for number in series.split(".")])


def test_only_the_host_s_own_release_is_installed_on_the_host() -> None:
    assert [release.series for release in RELEASES.values() if not release.in_chroot] == ["3.10"]
    assert RELEASES["3.10"].debian == HOST


def test_no_two_releases_share_a_chroot() -> None:
    chroots = [release.default_chroot for release in RELEASES.values() if release.in_chroot]
    assert len(set(chroots)) == len(chroots)
    assert str(RELEASES["4.3"].default_chroot) == "/var/lib/hutch-forky"


def test_start_without_versions_knows_what_it_starts() -> None:
    assert DEFAULT_SERIES == ("3.10", "4.3")
    assert set(DEFAULT_SERIES) <= set(RELEASES)


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_each_release_has_what_the_readiness_probes_need(release: Release) -> None:
    assert {"rabbitmq_management", "rabbitmq_consistent_hash_exchange", "rabbitmq_random_exchange"} <= {
        *release.plugins
    }
    assert ("EXTERNAL" in release.mechanisms) == ("rabbitmq_auth_mechanism_ssl" in release.plugins)


@pytest.mark.parametrize(
    ("series", "version", "included"),
    [
        ("3.10", "3.10.8", True),
        ("3.10", "3.10.8-1.1+deb12u1", True),
        ("3.10", "3.1.0", False),
        ("4.3", "4.30.1", False),
        ("4.3", "14.3.0", False),
        ("4.0", "4.3.6", False),
        ("4.0", "", False),
    ],
)
def test_a_version_is_of_a_series_by_whole_numbers(series: str, version: str, included: bool) -> None:
    assert RELEASES[series].includes(version) is included


def test_the_variable_is_named_after_the_series() -> None:
    assert RELEASES["3.10"].variable == "HUTCH_RABBITMQ_3_10"
    assert RELEASES["4.0"].variable == "HUTCH_RABBITMQ_4_0"
