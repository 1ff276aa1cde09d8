"""A Lambda to test against: the REST API of AWS Lambda on loopback, and the functions in sandboxes like Lambda's.

    with lambda_service(Config()) as service:          # client.py
        os.environ.update(service.environment())
        service.faults(crash=0.05, throttle=0.1)

It runs as a process of its own (`python -m tests.servers.lambda_service`), so that who measures a coordinator does not measure it.
"""
