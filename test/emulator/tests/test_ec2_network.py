"""What EC2's network does that the emulator by itself does not."""
from .account import Case, allow, plain

WEB = {"RuleNumber": 100, "Egress": False, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 80, "To": 443}}


def vpc(aws) -> str:
    return aws.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def subnet(aws, vpc_id: str, number: int = 1) -> str:
    return aws.client("ec2").create_subnet(VpcId=vpc_id, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]


class Acls(Case):
    def acl(self, vpc_id: str) -> str:
        return self.aws.client("ec2").create_network_acl(VpcId=vpc_id)["NetworkAcl"]["NetworkAclId"]

    def described(self, name: str, value: str) -> list:
        return self.aws.client("ec2").describe_network_acls(Filters=[{"Name": name, "Values": [value]}])["NetworkAcls"]

    def test_a_new_acl_denies_everything(self):
        acl = self.acl(vpc(self.aws))
        entries = self.described("network-acl-id", acl)[0]["Entries"]
        self.assertEqual([(32767, False, "deny"), (32767, True, "deny")], [(e["RuleNumber"], e["Egress"], e["RuleAction"]) for e in entries])

    def test_entries_have_ports_and_icmp_types(self):
        api, acl = self.aws.client("ec2"), self.acl(vpc(self.aws))
        api.create_network_acl_entry(NetworkAclId=acl, **WEB)
        ping = {"RuleNumber": 110, "Egress": True, "Protocol": "1", "RuleAction": "deny", "CidrBlock": "10.0.0.0/8", "IcmpTypeCode": {"Type": 8, "Code": -1}}
        api.create_network_acl_entry(NetworkAclId=acl, **ping)
        entries = {e["RuleNumber"]: e for e in self.described("network-acl-id", acl)[0]["Entries"]}
        self.assertEqual((WEB, ping), (entries[100], entries[110]))
        api.replace_network_acl_entry(NetworkAclId=acl, **{**WEB, "PortRange": {"From": 22, "To": 22}})
        entries = {e["RuleNumber"]: e for e in self.described("network-acl-id", acl)[0]["Entries"]}
        self.assertEqual({"From": 22, "To": 22}, entries[100]["PortRange"])

    def test_a_number_is_taken_once_in_each_direction(self):
        api, acl = self.aws.client("ec2"), self.acl(vpc(self.aws))
        api.create_network_acl_entry(NetworkAclId=acl, **WEB)
        api.create_network_acl_entry(NetworkAclId=acl, **{**WEB, "Egress": True})
        self.refused("NetworkAclEntryAlreadyExists", api.create_network_acl_entry, NetworkAclId=acl, **WEB)
        self.refused("InvalidNetworkAclEntry.NotFound", api.replace_network_acl_entry, NetworkAclId=acl, **{**WEB, "RuleNumber": 1})
        api.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=False)
        self.refused("InvalidNetworkAclEntry.NotFound", api.delete_network_acl_entry, NetworkAclId=acl, RuleNumber=100, Egress=False)
        self.refused("InvalidNetworkAclID.NotFound", api.create_network_acl_entry, NetworkAclId="acl-0", **WEB)

    def test_a_subnet_is_behind_one_acl(self):
        api, network = self.aws.client("ec2"), vpc(self.aws)
        one, acl = subnet(self.aws, network), self.acl(network)
        [default] = self.described("association.subnet-id", one)
        self.assertTrue(default["IsDefault"])
        before = next(a for a in default["Associations"] if a["SubnetId"] == one)["NetworkAclAssociationId"]
        made = api.replace_network_acl_association(AssociationId=before, NetworkAclId=acl)["NewAssociationId"]
        [now] = self.described("association.subnet-id", one)
        self.assertEqual((acl, [(made, one)]), (now["NetworkAclId"], [(a["NetworkAclAssociationId"], a["SubnetId"]) for a in now["Associations"]]))
        self.refused("InvalidAssociationID.NotFound", api.replace_network_acl_association, AssociationId=before, NetworkAclId=acl)
        self.refused("DependencyViolation", api.delete_network_acl, NetworkAclId=acl)
        self.assertEqual([], self.described("association.subnet-id", "subnet-00000000000000000"))
        api.delete_subnet(SubnetId=one)
        api.delete_network_acl(NetworkAclId=acl)
        self.refused("DependencyViolation", api.delete_network_acl, NetworkAclId=default["NetworkAclId"])

    def test_an_association_needs_the_right_on_both(self):
        api, network = self.aws.client("ec2"), vpc(self.aws)
        one, acl = subnet(self.aws, network), self.acl(network)
        [default] = self.described("association.subnet-id", one)
        arn = lambda kind, name: f"arn:aws:ec2:us-east-1:{self.aws.id}:{kind}/{name}"
        ask = {"AssociationId": default["Associations"][0]["NetworkAclAssociationId"], "NetworkAclId": acl}
        half = self.aws.client("ec2", self.aws.user(allow("ec2:ReplaceNetworkAclAssociation", arn("network-acl", acl))))
        self.refused("UnauthorizedOperation", half.replace_network_acl_association, **ask)
        both = [arn("network-acl", acl), arn("subnet", one)]
        self.aws.client("ec2", self.aws.user(allow("ec2:ReplaceNetworkAclAssociation", both))).replace_network_acl_association(**ask)

    def test_the_emulator_alone_has_no_ports_no_end_and_no_subnet(self):
        bare = plain()
        api, network = bare.client("ec2"), vpc(bare)
        acl = api.create_network_acl(VpcId=network)["NetworkAcl"]["NetworkAclId"]
        for _ in range(2):
            api.create_network_acl_entry(NetworkAclId=acl, **WEB)
        [described] = [one for one in api.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]]
        self.assertEqual([100, 100], [entry["RuleNumber"] for entry in described["Entries"]])
        self.assertNotIn("PortRange", described["Entries"][0])
        api.replace_network_acl_association(AssociationId="aclassoc-0", NetworkAclId=acl)
        [described] = api.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
        self.assertNotIn("SubnetId", {key: value for key, value in described["Associations"][0].items() if value})


class Routes(Case):
    def table(self, network: str) -> str:
        return self.aws.client("ec2").create_route_table(VpcId=network)["RouteTable"]["RouteTableId"]

    def routes(self, table: str, aws=None) -> dict:
        [described] = (aws or self.aws).client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return {route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock") or route["DestinationPrefixListId"]: route for route in described["Routes"]}

    def test_a_table_holds_a_destination_once(self):
        api, network = self.aws.client("ec2"), vpc(self.aws)
        table, gateway = self.table(network), api.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        api.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
        api.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        api.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", GatewayId=gateway)
        self.refused("RouteAlreadyExists", api.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        nat = api.create_nat_gateway(SubnetId=subnet(self.aws, network))["NatGateway"]["NatGatewayId"]
        api.replace_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        routes = self.routes(table)
        self.assertEqual((nat, None), (routes["0.0.0.0/0"]["NatGatewayId"], routes["0.0.0.0/0"].get("GatewayId")))
        self.assertEqual(gateway, routes["::/0"]["GatewayId"])
        api.delete_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0")
        self.assertEqual({"10.0.0.0/16", "0.0.0.0/0"}, set(self.routes(table)))
        self.refused("InvalidRoute.NotFound", api.delete_route, RouteTableId=table, DestinationIpv6CidrBlock="::/0")
        self.refused("InvalidRoute.NotFound", api.replace_route, RouteTableId=table, DestinationCidrBlock="192.0.2.0/24", NatGatewayId=nat)

    def test_a_route_to_what_is_gone_is_a_blackhole(self):
        api, network = self.aws.client("ec2"), vpc(self.aws)
        table, gateway = self.table(network), api.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        api.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
        nat = api.create_nat_gateway(SubnetId=subnet(self.aws, network))["NatGateway"]["NatGatewayId"]
        api.create_route(RouteTableId=table, DestinationCidrBlock="192.0.2.0/24", GatewayId=gateway)
        api.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        states = lambda: {name: route["State"] for name, route in self.routes(table).items()}
        self.assertEqual({"10.0.0.0/16": "active", "192.0.2.0/24": "active", "0.0.0.0/0": "active"}, states())
        api.detach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
        api.delete_nat_gateway(NatGatewayId=nat)
        self.assertEqual({"10.0.0.0/16": "active", "192.0.2.0/24": "blackhole", "0.0.0.0/0": "blackhole"}, states())

    def test_tables_and_peering_connections_are_found_by_their_ids(self):
        api, vpc_id = self.aws.client("ec2"), vpc(self.aws)
        table = api.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
        peering = [api.create_vpc_peering_connection(VpcId=vpc_id, PeerVpcId=vpc(self.aws))["VpcPeeringConnection"]["VpcPeeringConnectionId"] for _ in range(2)]

        def tables(name):
            return [each["RouteTableId"] for each in api.describe_route_tables(Filters=[{"Name": "route-table-id", "Values": [name]}])["RouteTables"]]
        self.assertEqual(([table], []), (tables(table), tables("rtb-0123456789abcdef0")))
        found = api.describe_vpc_peering_connections(Filters=[{"Name": "vpc-peering-connection-id", "Values": peering[:1]}])["VpcPeeringConnections"]
        self.assertEqual(peering[:1], [each["VpcPeeringConnectionId"] for each in found])

    def test_a_gateway_endpoint_brings_its_route(self):
        api, network = self.aws.client("ec2"), vpc(self.aws)
        table, name = self.table(network), "com.amazonaws.us-east-1.s3"
        endpoint = api.create_vpc_endpoint(VpcId=network, ServiceName=name, RouteTableIds=[table])["VpcEndpoint"]["VpcEndpointId"]
        [prefixes] = api.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [name]}])["PrefixLists"]
        self.assertEqual(endpoint, self.routes(table)[prefixes["PrefixListId"]]["GatewayId"])
        api.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        self.assertEqual({"10.0.0.0/16"}, set(self.routes(table)))

    def test_interface_endpoints_have_groups_and_private_dns_and_are_found_by_their_vpc(self):
        api, network, other = self.aws.client("ec2"), vpc(self.aws), vpc(self.aws)
        one, group = subnet(self.aws, network), api.create_security_group(GroupName="endpoints", Description="d", VpcId=network)["GroupId"]
        wanted = {"VpcId": network, "ServiceName": "com.amazonaws.us-east-1.kms", "VpcEndpointType": "Interface", "SubnetIds": [one]}
        made = api.create_vpc_endpoint(**wanted, SecurityGroupIds=[group])["VpcEndpoint"]
        found = lambda where: api.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [where]}])["VpcEndpoints"]
        self.assertEqual([(made["VpcEndpointId"], True, [group])], [(e["VpcEndpointId"], e["PrivateDnsEnabled"], [g["GroupId"] for g in e["Groups"]]) for e in found(network)])
        self.assertEqual([], found(other))
        api.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], RemoveSecurityGroupIds=[group], PrivateDnsEnabled=False)
        self.assertEqual([(False, [])], [(e["PrivateDnsEnabled"], e["Groups"]) for e in found(network)])

    def test_the_emulator_alone_keeps_dead_routes_and_knows_no_others(self):
        bare = plain()
        api, network = bare.client("ec2"), vpc(bare)
        table = api.create_route_table(VpcId=network)["RouteTable"]["RouteTableId"]
        nat = api.create_nat_gateway(SubnetId=subnet(bare, network))["NatGateway"]["NatGatewayId"]
        for _ in range(2):
            api.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        api.delete_nat_gateway(NatGatewayId=nat)
        self.assertEqual("active", self.routes(table, bare)["0.0.0.0/0"]["State"])
        api.create_vpc_endpoint(VpcId=network, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[table])
        self.assertEqual({"10.0.0.0/16", "0.0.0.0/0"}, set(self.routes(table, bare)))
        found = api.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": ["vpc-0"]}])["VpcEndpoints"]
        self.assertEqual([None], [endpoint.get("PrivateDnsEnabled") for endpoint in found])
