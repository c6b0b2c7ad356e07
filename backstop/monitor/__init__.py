"""The live page: what the fund holds and owes, who is at risk, who was liquidated and who paid.

    source    the connection: attaches, notices a restarted node or a reorganised chain
    state     one consistent reading of the contracts at a block
    history   events and accounts, from the chain's logs or the event store
    book      every account's positions as arrays: health, liquidation levels
    shock     what a jump of prices would cost, and which layers would pay
    series    how the figures moved, with past blocks read again after a start
    panels    the page's panels as plain data; feed and rules make the two made of events
    watcher   follows the chain and publishes panels
    hub       the newest panels, for any number of readers, none of whom can slow it down
    web       pages, JSON, server-sent events, metrics, health

Read-only: nothing here signs or sends.
"""
