"""Accounting references: product-sum, exits, windows, the share vault; all exact integers."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from backstop.risk.errors import BadInput
from backstop.risk.shares import (
    P_FLOOR,
    P_ONE,
    Bucket,
    ProductSum,
    Vault,
    closes_early,
    ends_series,
    exit_ready_share,
    first_come,
    inflation_attack,
    open_buckets,
    pro_rata_window,
    shares_after_cancel,
    split_loss,
)

TOKEN = 10**18
LAW = settings(deadline=None, max_examples=150)


# -- vault ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decimals", "victim"), [(0, 6_666_666_667), (3, 9_997_499_375), (6, 9_999_997_500)]
)
def test_donation_known_answers(decimals, victim):
    _, back, _ = inflation_attack(10**10, 10**10, decimals)
    assert back == victim


def test_donation_without_virtual_shares_costs_the_attacker_a_third():
    shares, _, attacker = inflation_attack(10**10, 10**10, 0)
    assert shares == 1
    assert attacker == 6_666_666_667
    assert attacker / (10**10 + 1) == pytest.approx(2 / 3, rel=1e-9)


@LAW
@given(
    st.lists(
        st.tuples(st.sampled_from(["deposit", "redeem", "lose", "earn"]), st.integers(1, 10**24)),
        min_size=1, max_size=30,
    ),
    st.sampled_from([0, 3, 6]),
)  # fmt: skip
def test_vault_never_pays_more_than_it_holds_and_only_losses_lower_the_price(steps, decimals):
    vault = Vault(decimals=decimals)
    for action, amount in steps:
        before = Fraction(vault.assets + 1, vault.supply + vault.virtual)
        if action == "deposit":
            if vault.shares_for(amount) == 0:
                with pytest.raises(BadInput):
                    vault.deposit(amount)
                continue
            vault, minted = vault.deposit(amount)
            assert vault.assets_for(minted) <= amount
        elif action == "redeem":
            vault, paid = vault.redeem(amount % (vault.supply + 1))
            assert paid >= 0
        elif action == "lose":
            vault, taken = vault.lose(amount)
            assert taken <= amount
        else:
            vault = vault.earn(amount)
        after = Fraction(vault.assets + 1, vault.supply + vault.virtual)
        assert after >= before or action == "lose"
        assert vault.assets >= 0 and vault.supply >= 0


def test_loss_stops_at_the_floor():
    vault, _ = Vault(floor=100).deposit(1000)
    vault, taken = vault.lose(5000)
    assert (taken, vault.assets) == (900, 100)
    with pytest.raises(BadInput):
        vault.redeem(vault.supply + 1)


# -- product-sum ---------------------------------------------------------------------------------


def test_product_sum_known_answer():
    pool = ProductSum()
    pool, a = pool.join(100 * TOKEN)
    pool, b = pool.join(300 * TOKEN)
    pool = pool.offset(160 * TOKEN, 40 * TOKEN)
    pool, c = pool.join(160 * TOKEN)
    pool = pool.offset(200 * TOKEN, 80 * TOKEN)
    assert [pool.compounded(s) for s in (a, b, c)] == [30 * TOKEN, 90 * TOKEN, 80 * TOKEN]
    assert [pool.gained(s) for s in (a, b, c)] == [22 * TOKEN, 66 * TOKEN, 32 * TOKEN]
    assert pool.product == 3 * 10**35
    assert pool.total == 200 * TOKEN


def test_product_sum_scale_known_answer():
    pool = ProductSum()
    pool, a = pool.join(10**12 * TOKEN)
    pool, b = pool.join(3 * 10**12 * TOKEN)
    pool = pool.offset(4 * 10**12 * TOKEN - 4 * TOKEN, 0)
    assert (pool.scale, pool.product) == (1, 10**33)
    assert [pool.compounded(s) for s in (a, b)] == [TOKEN, 3 * TOKEN]
    pool = pool.offset(0, TOKEN)
    assert [pool.gained(s) for s in (a, b)] == [TOKEN // 4, 3 * TOKEN // 4]


def test_product_sum_never_owes_more_than_it_holds():
    """300 random histories with losses up to 1 - 1e-12 of the pool, against exact fractions."""
    scale_changes, worst = 0, 0
    for seed in range(300):
        rng = random.Random(seed)
        pool, members, held = ProductSum(), [], 0
        for _ in range(12):
            if not members or rng.random() < 0.4:
                amount = int(TOKEN * 10 ** rng.uniform(0, 6))
                pool, snapshot = pool.join(amount)
                members.append([snapshot, Fraction(amount), Fraction(0)])
                continue
            keep = 10 ** -rng.uniform(0, 12)
            loss = min(int(pool.total * (1 - keep)), max(pool.total - TOKEN, 0))
            gain = rng.randrange(100 * TOKEN)
            total, held = pool.total, held + gain
            pool = pool.offset(loss, gain)
            for member in members:
                member[2] += gain * member[1] / total
                member[1] *= Fraction(total - loss, total)
        scale_changes += pool.scale
        left = [pool.compounded(m[0]) for m in members]
        gains = [pool.gained(m[0]) for m in members]
        assert sum(left) <= pool.total
        assert sum(gains) <= held
        assert P_FLOOR <= pool.product <= P_ONE
        for (_, exact, gained), now, got in zip(members, left, gains, strict=True):
            assert now <= exact
            worst = max(worst, exact - now)
            assert got <= gained + Fraction(1, 10**9)  # the gain is never rounded up
    assert scale_changes > 100
    assert worst < 10**7  # wei of pools of up to 1e24: the loss of precision of P


def test_deposits_vanish_after_eight_scales():
    pool = ProductSum()
    pool, a = pool.join(10**20 * TOKEN)
    for _ in range(9):
        pool = pool.offset(pool.total - pool.total // 10**9, 0)
        pool, _ = pool.join(10**20 * TOKEN)
    assert pool.scale >= 9 and pool.compounded(a) == 0


def test_pool_cannot_be_emptied():
    pool, _ = ProductSum().join(TOKEN)
    with pytest.raises(BadInput):
        pool.offset(TOKEN, 0)
    with pytest.raises(BadInput):
        pool.join(0)


# -- exits ---------------------------------------------------------------------------------------


def test_symbiotic_known_answer():
    assert split_loss(250, 600, [300, 100]) == (150, [75, 25])


@LAW
@given(
    st.integers(0, 10**30), st.integers(0, 10**27),
    st.lists(st.integers(0, 10**27), max_size=5),
)  # fmt: skip
def test_loss_is_shared_exactly_and_fairly(loss, active, buckets):
    cut, cuts = split_loss(loss, active, buckets)
    whole = active + sum(buckets)
    taken = min(loss, whole)
    assert cut + sum(cuts) == taken
    assert 0 <= cut <= active
    assert all(0 <= c <= b for c, b in zip(cuts, buckets, strict=True))
    floors = [taken * b // max(whole, 1) for b in buckets]
    if taken - sum(floors) <= active:  # the active layer can bear the remainder
        assert cuts == floors
    else:
        assert cut == active
        assert all(c >= f for c, f in zip(cuts, floors, strict=True))


def test_tiny_active_layer_spills_its_remainder():
    assert split_loss(100, 0, [50, 50, 50]) == (0, [34, 33, 33])
    with pytest.raises(BadInput):
        split_loss(-1, 1, [])


def test_cancel_known_answer():
    """S = A = 1000, a request of 100 shares worth 100, +100 revenue: 90 shares, worth 100."""
    left = shares_after_cancel(100, 100, 1100, 1000)
    assert left == 90
    assert Fraction(left * 1100, 1000 - 10) == 100


@LAW
@given(st.integers(1, 10**24), st.integers(1, 10**24), st.integers(0, 10**24))
def test_cancelling_never_pays(shares, others, revenue):
    """Afterwards the request is worth at most what it was worth when made."""
    supply = shares + others
    assets = supply + revenue
    left = shares_after_cancel(shares, shares, assets, supply)
    assert left <= shares
    worth = Fraction(left * assets, supply - (shares - left))
    assert worth <= shares
    assert shares - worth <= Fraction(assets, others)  # one share's rounding


def test_cancelling_after_a_loss_restores_nothing():
    assert shares_after_cancel(100, 100, 900, 1000) == 100
    with pytest.raises(BadInput):
        shares_after_cancel(1000, 100, 900, 1000)


def test_bucket_is_fair_and_stays_slashable():
    bucket, first = Bucket().join(300)
    bucket = bucket.cut(75)
    bucket, second = bucket.join(225)  # comes after the loss: pays nothing of it
    assert bucket.claim(first) == 225
    assert bucket.claim(second) == 224  # rounded down, for those already inside
    with pytest.raises(BadInput):
        bucket.cut(451)
    assert Bucket().claim(0) == 0


@LAW
@given(st.lists(st.tuples(st.integers(0, 10**24), st.integers(0, 100)), min_size=1, max_size=10))
def test_bucket_never_pays_more_than_it_holds(steps):
    bucket, credited = Bucket(), []
    for amount, percent in steps:
        bucket, shares = bucket.join(amount)
        credited.append(shares)
        bucket = bucket.cut(bucket.assets * percent // 100)
    assert sum(bucket.claim(s) for s in credited) <= bucket.assets


def test_series_ends_at_a_millionth_of_the_peak():
    assert ends_series(999_999, 10**9)
    assert not ends_series(10**6, 10**9)
    assert ends_series(10**18 - 1, 10**24) and not ends_series(10**18, 10**24)


def test_bucket_count_and_rolling_cooldown():
    assert open_buckets(20, 7) == 4
    assert open_buckets(21, 7) == 4
    assert exit_ready_share(20, 2) == pytest.approx(0.091, abs=5e-4)


# -- windows -------------------------------------------------------------------------------------


def test_window_known_answers():
    assert first_come(100, [80, 70, 50]) == [80, 20, 0]
    assert pro_rata_window(100, [80, 70, 50]) == [40, 35, 25]
    assert pro_rata_window(100, [50, 50, 50]) == [33, 33, 33]
    assert pro_rata_window(100, [40, 35]) == [40, 35]
    assert pro_rata_window(0, [0]) == [0]


@LAW
@given(st.integers(0, 10**24), st.lists(st.integers(0, 10**24), max_size=8), st.data())
def test_splitting_a_claim_never_pays(capacity, claims, data):
    paid = pro_rata_window(capacity, claims)
    assert sum(paid) <= capacity
    assert all(p <= c for p, c in zip(paid, claims, strict=True))
    if not claims:
        return
    part = data.draw(st.integers(0, claims[0]))
    split = pro_rata_window(capacity, [part, claims[0] - part, *claims[1:]])
    assert split[0] + split[1] <= paid[0]
    assert split[2:] == paid[1:]


def test_dust_stays_in_the_fund():
    assert 100 - sum(pro_rata_window(100, [7, 7, 7, 7, 7, 70])) in range(6)
    assert closes_early(100, [20, 5]) and not closes_early(100, [20, 6])
    with pytest.raises(BadInput):
        pro_rata_window(-1, [1])
