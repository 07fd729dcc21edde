"""Tells dynbalancer of the middleware."""

from dynbalancer.plugins import MiddlewareMaker

stamp = MiddlewareMaker("stamp", "dynbalancer_stamp.Stamp", "Asks for a key, and stamps texts.")
