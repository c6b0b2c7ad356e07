"""Numbers that the fund's tests share."""

UNIT = 10**6
DAY = 86_400
LIMITS = (1_000 * UNIT, 2_500 * UNIT, DAY)
"""perClaim, perWindow, window"""
MARKET_LIMITS = (500 * UNIT, 2_000 * UNIT)
"""compartmentCap, perWindow"""
ACCOUNT = b"\x11" * 32
