"""What ``sam publish`` would send to the AWS Serverless Application Repository, built and checked on one machine.

``make publish-check`` builds the application as it is published and looks at the result with the repository's own
rules, as far as they are documented or were reported. Nothing leaves the machine: ``sam package`` uploads to an
emulated S3.

================  ==================================================================================================
``command``       ``python -m publish``: builds, packages, checks, prints.
``packaging``     The build: the template made ready, ``sam build``, ``sam package``.
``metadata``      Rules for the ``AWS::ServerlessRepo::Application`` section.
``template``      Rules for the packaged template: types, properties, places of code, limits.
``accepted``      The resource types and properties that the repository takes.
``packages``      Rules for the code packages.
``capabilities``  The capabilities that whoever installs it has to acknowledge, and what the documents say of them.
``problem``       What is refused: field, value and rule.
``parameters``    docs/parameters.md, generated from the templates.
================  ==================================================================================================
"""
