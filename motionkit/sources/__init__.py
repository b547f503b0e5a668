"""Where videos come from besides local files: manifests, remote file systems, the web.

Everything here is untrusted text from elsewhere: it is cleaned before it is stored, and never
becomes a file name of ours.
"""
