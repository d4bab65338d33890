"""The web client in an installed `vuer`: where it is, and how it works without the internet.

installed.py    its folder
offline.py      its files without what they would fetch from other hosts, unasked
font.py         the font for texts in a scene
single_file.py  the client and a scene in one file
"""
