"""Something to record and something to replay against.

shop      a small web shop with switches for what a staging environment hides
traffic   a driver of traffic that is not polite: sessions, bursts, slow and broken clients
packets   writes captures (pcap, pcapng) of conversations that never touched a network
demo      the whole loop in under two minutes
"""
