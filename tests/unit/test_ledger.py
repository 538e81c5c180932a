"""Record before create, and what a kill between any two writes leaves."""

import pytest

from rally_deploy.model import ResourceState


class Outside:
    """Counts what is made and deleted."""

    def __init__(self):
        self.made, self.deleted = [], []

    def make(self, resource):
        self.made.append(resource.name)
        return {"id": len(self.made)}

    def broken(self, resource):
        self.made.append(resource.name)
        raise OSError("half way")

    def delete(self, resource):
        self.deleted.append(resource.name)


@pytest.fixture
def outside():
    return Outside()


@pytest.fixture
def ledger(deployment):
    return deployment.ledger


def test_create_records_the_name_before_it_makes(ledger, outside):
    def make(resource):
        rows = ledger.alive()
        assert [(r.name, r.state) for r in rows] == [(resource.name, ResourceState.INTENDED)]
        return {"id": 7}

    made = ledger.create("box", "a", make, outside.delete)
    assert made.state is ResourceState.LIVE
    assert made.facts == {"id": 7}
    assert made.name == f"rd-{made.deployment_uuid[:8]}-a"


def test_create_of_a_live_one_makes_nothing(ledger, outside):
    first = ledger.create("box", "a", outside.make, outside.delete)
    assert ledger.create("box", "a", outside.make, outside.delete) == first
    assert len(outside.made) == 1


def test_create_of_a_half_made_one_deletes_it_first(ledger, outside):
    with pytest.raises(OSError, match="half way"):
        ledger.create("box", "a", outside.broken, outside.delete)
    assert ledger.alive()[0].state is ResourceState.INTENDED
    ledger.create("box", "a", outside.make, outside.delete)
    assert outside.deleted == [outside.made[0]]
    assert [r.state for r in ledger.alive()] == [ResourceState.LIVE]


def test_create_that_adopts_goes_on_with_a_half_made_one(ledger, outside):
    with pytest.raises(OSError, match="half way"):
        ledger.create("job", "a", outside.broken, outside.delete, adopt=True)
    ledger.create("job", "a", outside.make, outside.delete, adopt=True)
    assert outside.deleted == []
    assert len(outside.made) == 2


def test_end_of_a_thing_is_the_end_of_what_is_inside_it(ledger, outside):
    box = ledger.create("box", "a", outside.make, outside.delete)
    ledger.create("content", "b", outside.make, outside.delete, inside=box.id)
    ledger.release(box, outside.delete)
    assert ledger.alive() == []
    assert outside.deleted == [box.name]


def test_failed_release_stays_in_the_ledger(ledger, outside):
    box = ledger.create("box", "a", outside.make, outside.delete)

    def refuses(resource):
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        ledger.release(box, refuses)
    assert ledger.alive()[0].state is ResourceState.RELEASING
