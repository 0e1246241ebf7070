"""RabbitMQ as a broker, on kombu and py-amqp."""
