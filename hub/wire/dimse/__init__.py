"""DICOM upper layer and DIMSE (PS3.7, PS3.8), both sides, on blocking sockets.

One thread per association, no polling: a data set goes from the socket to its file and back without being decoded or
held in memory. What is negotiated and sent is plain values, so that tests can speak with any other implementation.
"""
