"""What Secrets Manager does that the emulator by itself does not."""
from .account import Case, plain, unique

TOKEN = "53a714be-cfac-3afa-7efc-b2c23bbbb046"


class Versions(Case):
    def test_the_token_of_a_request_is_the_id_of_the_version(self):
        api, name = self.aws.client("secretsmanager"), unique("secret")
        made = api.create_secret(Name=name, SecretString="one", ClientRequestToken=TOKEN)
        self.assertEqual(TOKEN, made["VersionId"])
        api.put_secret_value(SecretId=name, SecretString="two")
        self.assertEqual("one", api.get_secret_value(SecretId=name, VersionId=TOKEN)["SecretString"])

    def test_the_same_request_again_changes_nothing_and_another_is_refused(self):
        api, name = self.aws.client("secretsmanager"), unique("secret")
        made = api.create_secret(Name=name, SecretString="one", ClientRequestToken=TOKEN)
        again = api.create_secret(Name=name, SecretString="one", ClientRequestToken=TOKEN)
        self.assertEqual((made["ARN"], made["VersionId"]), (again["ARN"], again["VersionId"]))
        self.refused("ResourceExistsException", api.create_secret, Name=name, SecretString="two", ClientRequestToken=TOKEN)
        self.refused("ResourceExistsException", api.create_secret, Name=name, SecretString="one")

    def test_the_emulator_alone_names_versions_itself(self):
        made = plain().client("secretsmanager").create_secret(Name=unique("secret"), SecretString="one", ClientRequestToken=TOKEN)
        self.assertNotEqual(TOKEN, made["VersionId"])
